//! Truncated and overwritten containers and signatures: the readers never panic, and end in bounded
//! time and memory.

use crate::invariants::container::check;
use jlctl_synthetic::wrap;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// A container of each kind around a signed module of 2 kB.
fn seeds() -> Vec<Vec<u8>> {
    let words = (0..500_u32).map(|n| n.wrapping_mul(0x9e37_79b9) >> 20);
    let module: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    let message = wrap::pkcs7(&[wrap::issuer_and_serial("Example", &[1, 2, 3])]);
    let signed = wrap::sign(&module, &message);
    let streams = [
        wrap::gzip(&signed),
        wrap::xz(&signed, 1 << 16),
        wrap::lzma(&signed, 1 << 16),
        wrap::zstd(&signed),
        wrap::zstd_zeros(3, 20),
        [wrap::zstd_skippable(b"one"), wrap::zstd(&signed), wrap::zstd(b"two")].concat(),
        [wrap::xz(b"one", 4096), vec![0; 4], wrap::xz(b"two", 4096)].concat(),
        wrap::gzip(b"one").repeat(3),
    ];
    let boot_images =
        streams.iter().flat_map(|data| [wrap::zboot(data, "x"), wrap::bz_image(data, 1)]);
    let mut seeds: Vec<Vec<u8>> = boot_images.collect();
    seeds.extend(streams);
    seeds.push(wrap::gzip(&wrap::zstd(&wrap::gzip(b"kernel"))));
    seeds.push(signed);
    seeds
}

#[test]
fn containers_cut_at_any_byte_are_survived() {
    for seed in seeds() {
        for len in 0..=seed.len() {
            check(&seed[..len]);
        }
    }
}

#[test]
fn overwritten_headers_and_ends_are_survived() {
    for seed in seeds() {
        let from_end = seed.len().saturating_sub(64);
        // The nonzero part of the header of boot images is 0x250 bytes long.
        let start = (0..from_end.min(0x250)).filter(|at| *at < 64 || seed[*at] != 0);
        for at in start.chain(from_end..seed.len()) {
            for value in [0, 1, 0x7f, 0x80, 0xff, seed[at] ^ 1, seed[at].wrapping_add(1)] {
                let mut damaged = seed.clone();
                damaged[at] = value;
                check(&damaged);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_damage(
        which in 0..seeds().len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut damaged = seeds().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(damaged.len());
            damaged[at] = value;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        check(&damaged);
    }

    #[test]
    fn arbitrary_bytes(magic in 0..8_usize, bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        const MAGICS: [&[u8]; 8] = [
            b"", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x5a\x2a\x4d\x18",
            b"MZ\0\0zimg", b"\x5d\0\0\x10\0", b"BZh9",
        ];
        check(&[MAGICS[magic], &bytes].concat());
    }
}

#[test]
fn kept_inputs_are_survived() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/regressions");
    let entries = fs::read_dir(&directory).expect("the inputs are committed");
    let paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    assert!(!paths.is_empty(), "no inputs in {}", directory.display());
    for path in paths {
        // The test harness prints the path if the test fails.
        println!("{}", path.display());
        check(&fs::read(&path).expect("the file is readable"));
    }
}
