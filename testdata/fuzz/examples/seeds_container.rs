//! Writes seeds for the target `container` into the directory of the first argument.

use jlctl_synthetic::wrap;
use std::fs;
use std::path::PathBuf;

fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("a directory as argument"));
    fs::create_dir_all(&directory).expect("the directory can be made");
    let words = (0..500_u32).map(|n| n.wrapping_mul(0x9e37_79b9) >> 20);
    let module: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    let key = wrap::issuer_and_serial("Example", &[1, 2, 3]);
    let signed = wrap::sign(&module, &wrap::pkcs7(&[key]));
    let streams = [
        ("gzip", wrap::gzip(&signed)),
        ("xz", wrap::xz(&signed, 1 << 16)),
        ("lzma", wrap::lzma(&signed, 1 << 16)),
        ("zstd", wrap::zstd(&signed)),
        ("zeros", wrap::zstd_zeros(3, 20)),
        ("frames", [wrap::zstd_skippable(b"one"), wrap::zstd(&signed)].concat()),
        ("members", wrap::gzip(b"one").repeat(3)),
    ];
    for (name, stream) in streams {
        fs::write(directory.join(name), &stream).expect("the seed can be written");
        let zboot = wrap::zboot(&stream, name);
        fs::write(directory.join(format!("zboot_{name}")), zboot).expect("as above");
        let bz_image = wrap::bz_image(&stream, 1);
        fs::write(directory.join(format!("bz_image_{name}")), bz_image).expect("as above");
    }
    fs::write(directory.join("signed"), signed).expect("the seed can be written");
}
