//! Encodings of the linker: address expressions, jumps, RELR.

use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::link::{jump, relr, relr_words};
use jlctl_synthetic::spec::{AddressExpr, Machine};

#[test]
fn every_form_of_an_address_expression_is_parsed() {
    assert_eq!(AddressExpr::from("0x10"), AddressExpr::Address(16));
    for (text, file, name, offset) in [
        ("demo_open", None, "demo_open", 0),
        ("demo_open+0x8", None, "demo_open", 8),
        ("demo_open-4", None, "demo_open", -4),
        ("irq-gic.c:___once_key.0", Some("irq-gic.c"), "___once_key.0", 0),
        ("kernel/demo.c:key+16", Some("kernel/demo.c"), "key", 16),
    ] {
        let want =
            AddressExpr::Symbol { file: file.map(str::to_owned), name: name.to_owned(), offset };
        assert_eq!(AddressExpr::from(text), want, "{text}");
    }
}

/// The bytes are those of `llvm-mc -show-encoding`.
#[test]
fn a_jump_has_the_bytes_of_an_assembler() {
    let at = 0x40_0000;
    for (machine, short, distance, bytes) in [
        (Machine::Aarch64, false, -16, &[0xfc, 0xff, 0xff, 0x17][..]),
        (Machine::Aarch64, false, 0x24, &[0x09, 0x00, 0x00, 0x14]),
        (Machine::X86_64, true, -126, &[0xeb, 0x80]),
        (Machine::X86_64, false, 0x1005, &[0xe9, 0x00, 0x10, 0x00, 0x00]),
        (Machine::X86_64, false, -11, &[0xe9, 0xf0, 0xff, 0xff, 0xff]),
        (Machine::Riscv64, false, -4, &[0x6f, 0xf0, 0xdf, 0xff]),
        (Machine::Riscv64, false, 8, &[0x6f, 0x00, 0x80, 0x00]),
        (Machine::Riscv64, false, 0xa_bcde, &[0x6f, 0xb0, 0xfa, 0x4d]),
    ] {
        let jump = jump(machine, short, at, at.wrapping_add_signed(distance));
        assert_eq!(jump.as_slice(), bytes, "{machine:?} {distance:#x}");
    }
}

#[test]
#[should_panic(expected = "cannot reach")]
fn a_short_jump_reaches_127_bytes() {
    let _ = jump(Machine::X86_64, true, 0x1000, 0x1000 + 130);
}

#[test]
#[should_panic(expected = "cannot reach")]
fn a_riscv_jump_reaches_a_mebibyte() {
    let _ = jump(Machine::Riscv64, false, 0, 1 << 20);
}

fn decode(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8")));
    let (mut places, mut base) = (Vec::new(), 0);
    for word in words {
        if word & 1 == 0 {
            places.push(word);
            base = word + 8;
        } else {
            places.extend((1..64).filter(|n| word >> n & 1 == 1).map(|n| base + (n - 1) * 8));
            base += 63 * 8;
        }
    }
    places
}

#[test]
fn relr_decodes_to_the_addresses() {
    for gaps in [vec![8; 1], vec![8; 2], vec![8; 64], vec![8; 65], vec![8, 16, 8, 4096, 8]] {
        let mut at = 0x1000;
        let places: Vec<u64> = gaps
            .iter()
            .map(|gap| {
                at += gap;
                at
            })
            .collect();
        assert_eq!(decode(&relr(Endian::Little, &places)), places);
    }
    for count in 0..200 {
        let places: Vec<u64> = (0..count).map(|n| 0x1000 + n * 8).collect();
        let words = relr(Endian::Little, &places).len() as u64 / 8;
        assert_eq!(words, relr_words(count), "{count}");
    }
}
