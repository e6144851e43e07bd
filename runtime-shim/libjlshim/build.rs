//! Sets the soname of the shared library, with the version of its interface.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libjlshim.so.0");
}
