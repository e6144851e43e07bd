//! Links the file so that it needs nothing: no library, no start-up files, no symbol of others.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_FREESTANDING").is_none() {
        return;
    }
    for argument in [
        "-nostdlib",
        "-nostartfiles",
        "-Wl,-Bsymbolic",
        "-Wl,--no-undefined",
        "-Wl,--as-needed",
        // Data are written by relocations and protected by nobody afterwards.
        "-Wl,-z,norelro",
        "-Wl,-z,now",
        "-Wl,--build-id=none",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
