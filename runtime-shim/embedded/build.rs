//! Links the image so that it is self-contained: without libraries, start-up files and undefined
//! symbols.
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
        // Relocations write the data, and no dynamic linker protects them afterwards.
        "-Wl,-z,norelro",
        "-Wl,-z,now",
        "-Wl,--build-id=none",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
