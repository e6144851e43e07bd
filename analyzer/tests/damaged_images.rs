//! Truncated and overwritten images: the readers return the readable part, never panic, and end in
//! bounded time.

use crate::invariants::image::check;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_synthetic::spec::{ImageSpec, Machine};
use jlctl_synthetic::{broken, demo};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Far longer than any input of a few kilobytes takes, even unoptimised on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn check_within(bytes: &[u8], what: impl Fn() -> String) {
    let start = Instant::now();
    check(bytes);
    assert!(start.elapsed() < PATIENCE, "{}: {:?}", what(), start.elapsed());
}

#[test]
fn the_demo_is_read_when_cut_at_any_byte() {
    let whole = demo::vmlinux();
    for length in 0..whole.len() {
        let cut = &whole[..length];
        check_within(cut, || format!("cut at {length}"));
        // The section headers are at the end of the file; without them nothing can be read.
        match Image::parse(cut) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(image) => {
                let damage = !image.faults().is_empty();
                let complaint = JumpTable::read(&image).map_or(true, |table| {
                    let found = table.diagnostics();
                    found.iter().any(|found| matches!(found.defect.code(), "JT101" | "JT011"))
                });
                assert!(damage && complaint, "cut at {length} passes for sound");
            }
        }
    }
}

/// A file whose headers come first stays readable when its end is cut.
#[test]
fn broken_images_are_read_when_cut() {
    for (name, bytes) in broken::all() {
        let step = (bytes.len() / 64).max(1);
        for length in (0..bytes.len()).step_by(step) {
            check_within(&bytes[..length], || format!("{name} cut at {length}"));
        }
    }
}

/// SplitMix64, which gives the same values on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("the bound is a usize")
    }

    /// A random value, or one at a boundary.
    fn value(&mut self) -> u64 {
        let boundaries = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, u64::from(u32::MAX), u64::MAX];
        let at = self.below(2 * boundaries.len());
        boundaries.get(at).copied().unwrap_or_else(|| self.next())
    }
}

/// Overwrites up to `most` fields of 1 to 8 bytes with random values.
fn damage(bytes: &mut [u8], random: &mut Random, most: usize) {
    for _ in 0..=random.below(most) {
        let width = 1 << random.below(4);
        let at = random.below(bytes.len() - width);
        let value = random.value().to_le_bytes();
        bytes[at..at + width].copy_from_slice(&value[..width]);
    }
}

#[test]
fn random_bytes_anywhere_are_survived() {
    let sound = [demo::vmlinux(), broken::base().build(), broken::headers::big_endian()];
    for seed in 0..3000u64 {
        let mut random = Random(seed);
        let mut bytes = sound[random.below(sound.len())].clone();
        damage(&mut bytes, &mut random, 24);
        check_within(&bytes, || format!("seed {seed}"));
    }
}

/// Damage in modules, whose debug sections are relocated before they are read.
#[test]
fn random_bytes_in_modules_are_survived() {
    let module = |machine| {
        let spec = broken::modules::base().on(machine);
        ImageSpec { dwarf: Some(5), ..spec }.build()
    };
    let sound = Machine::ALL.map(module);
    for seed in 0..2000u64 {
        let mut random = Random(seed << 16);
        let mut bytes = sound[random.below(sound.len())].clone();
        damage(&mut bytes, &mut random, 24);
        check_within(&bytes, || format!("seed {seed}"));
    }
}

/// Damage in the section headers alone reaches deeper into the reader than elsewhere.
#[test]
fn random_section_headers_are_survived() {
    let sound = demo::vmlinux();
    let offset = u64::from_le_bytes(sound[40..48].try_into().expect("eight bytes"));
    let headers = usize::try_from(offset).expect("the image is small");
    for seed in 0..2000u64 {
        let mut random = Random(!seed);
        let mut bytes = sound.clone();
        damage(&mut bytes[headers..], &mut random, 4);
        check_within(&bytes, || format!("seed {seed}"));
    }
}

/// Damage in the debug sections alone, which follow the loaded sections.
#[test]
fn random_debug_sections_are_survived() {
    let sound = demo::vmlinux();
    let offset = u64::from_le_bytes(sound[40..48].try_into().expect("eight bytes"));
    let headers = usize::try_from(offset).expect("the image is small");
    let debug = sound.windows(12).position(|text| text == b"jlctl-testda");
    let debug = debug.expect("the producer is in the debug sections").saturating_sub(2048);
    for seed in 0..2000u64 {
        let mut random = Random(seed << 32);
        let mut bytes = sound.clone();
        damage(&mut bytes[debug..headers], &mut random, 12);
        check_within(&bytes, || format!("seed {seed}"));
    }
}

/// Inputs that once made a reader panic or hang, as the fuzzer found them.
#[test]
fn kept_inputs_are_survived() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/regressions");
    let entries = fs::read_dir(&directory).expect("the inputs are committed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no inputs in {}", directory.display());
    for path in paths {
        // The test harness prints the path if the test fails.
        println!("{}", path.display());
        check(&fs::read(&path).expect("the file is readable"));
    }
}
