//! Forms of a file around an image: signatures, compression, stripping.

use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::spec::ImageSpec;
use jlctl_synthetic::{broken, demo, flat, split, wrap};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::io::Read;

fn parse(bytes: &[u8]) -> ElfFile64<'_, Endian> {
    ElfFile64::parse(bytes).expect("a sound image parses")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    wrap::xz(bytes, 1 << 20)
}

/// The end of tun.ko of Debian's 6.12.117+deb12-cloud-arm64, whose signature
/// has 0x107 bytes.
#[test]
fn a_signature_ends_like_that_of_a_real_module() {
    let module = ImageSpec::module("demo").build();
    let signed = wrap::sign(&module, &[0x5a; 0x107]);
    assert_eq!(signed.len(), module.len() + 0x107 + 12 + 28);
    let end = b"\0\0\x02\0\0\0\0\0\0\0\x01\x07~Module signature appended~\n";
    assert!(signed.starts_with(&module) && signed.ends_with(end));
}

#[test]
fn packed_files_are_recognised_and_unpack() {
    let image = demo::vmlinux();
    let mut text = Vec::new();
    let packed = wrap::gzip(&image);
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    flate2::read::GzDecoder::new(&*packed).read_to_end(&mut text).expect("the file is sound");
    assert_eq!(text, image);

    text.clear();
    let packed = xz(&image);
    // The magic, and flags that name CRC-32.
    assert_eq!(packed[..8], *b"\xfd7zXZ\0\0\x01");
    liblzma::read::XzDecoder::new(&*packed).read_to_end(&mut text).expect("the file is sound");
    assert_eq!(text, image);

    let packed = wrap::zstd(&image);
    assert_eq!(packed[..4], 0xfd2f_b528_u32.to_le_bytes());
    assert_eq!(zstd::decode_all(&*packed).expect("the file is sound"), image);
}

#[test]
fn a_stripped_image_keeps_its_sections() {
    let linked = demo::linked();
    let (whole, stripped) = (linked.bytes(), split::strip(&linked.elf).write());
    let (whole, stripped) = (parse(&whole), parse(&stripped));
    assert_eq!((stripped.symbols().count(), stripped.has_debug_symbols()), (0, false));
    for section in whole.sections().filter(|section| section.address() != 0) {
        let name = section.name().expect("names are UTF-8");
        let kept = stripped.section_by_name(name).unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(kept.data(), section.data(), "{name}");
        assert_eq!(kept.address(), section.address(), "{name}");
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Field by field as the boot protocol defines it, and as in the first bytes of Debian's
/// 6.12.117+deb12-cloud-arm64.
#[test]
fn a_raw_image_has_the_kernels_bytes_after_a_boot_header() {
    let linked = demo::linked();
    let image = flat::image(&linked.elf);
    assert_eq!(image[..4], [0x4d, 0x5a, 0x40, 0xfa]);
    assert_eq!((word(&image, 8), word(&image, 24)), (0, 0xa));
    assert_eq!(image[0x38..0x3c], [0x41, 0x52, 0x4d, 0x64]);
    assert!(word(&image, 16) > image.len() as u64, "the size includes .bss");

    let elf = linked.bytes();
    let file = parse(&elf);
    let base = linked.address("_text");
    let bss = file.section_by_name(".bss").expect("the demo has .bss");
    let bss_end = bss.address() + bss.size() - base;
    assert_eq!(word(&image, 16), bss_end.next_multiple_of(1 << 16));
    assert_eq!(image.len() as u64, bss.address() - base, "nothing is behind .data");
    for section in file.sections().filter(|s| s.address() > base && s.address() < bss.address()) {
        let start = usize::try_from(section.address() - base).expect("it is small");
        let data = section.data().expect("it is readable");
        assert_eq!(&image[start..start + data.len()], data, "{:?}", section.name());
    }
}

#[test]
fn reserved_space_holds_bytes_that_depend_on_addresses() {
    let mut linked = demo::spec().reserve("kallsyms_room", 24).link();
    let address = linked.address("kallsyms_room");
    linked.write_reserved("kallsyms_room", &linked.address("demo_open").to_le_bytes());
    let image = flat::image(&linked.elf);
    let at = usize::try_from(address - linked.address("_text")).expect("it is small");
    assert_eq!(word(&image, at), linked.address("demo_open"));
    assert_eq!((address % 8, word(&image, at + 8)), (0, 0));
}

#[test]
#[should_panic(expected = "room for 8 bytes only")]
fn reserved_space_is_limited() {
    demo::spec().reserve("small", 8).link().write_reserved("small", &[1; 9]);
}

#[test]
fn wrong_headers_are_wrong_in_one_field() {
    let sound = broken::flat::sound();
    for (lie, field) in [
        (broken::flat::size_too_small(), 16..24),
        (broken::flat::text_offset_wild(), 8..16),
        (broken::flat::flags_wild(), 24..32),
        (broken::flat::pe_offset_wild(), 0x3c..0x40),
    ] {
        let differ = |at: &usize| lie[*at] != sound[*at];
        let places: Vec<usize> = (0..sound.len()).filter(differ).collect();
        assert!(!places.is_empty() && places.iter().all(|at| field.contains(at)), "{places:?}");
    }
    assert!(word(&broken::flat::size_too_small(), 16) < sound.len() as u64);
    assert_eq!(broken::flat::header_only(), sound[..64]);
}

#[test]
fn a_decompression_bomb_is_small() {
    let zeros = |bytes: &[u8]| bytes.len() == 3 << 20 && bytes.iter().all(|byte| *byte == 0);
    let mut text = Vec::new();
    let packed = wrap::bomb(wrap::gzip, 3);
    flate2::read::MultiGzDecoder::new(&*packed).read_to_end(&mut text).expect("it is sound");
    assert!(zeros(&text) && packed.len() < 1 << 13, "{}", packed.len());
    text.clear();
    let packed = wrap::bomb(xz, 3);
    let mut decoder = liblzma::read::XzDecoder::new_multi_decoder(&*packed);
    decoder.read_to_end(&mut text).expect("it is sound");
    assert!(zeros(&text) && packed.len() < 1 << 13, "{}", packed.len());
    let packed = wrap::bomb(wrap::zstd, 3);
    assert!(zeros(&zstd::decode_all(&*packed).expect("it is sound")));
}
