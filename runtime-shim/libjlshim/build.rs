//! Gives the shared library its name and the version of its interface.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libjlshim.so.0");
}
