//! The semantics of A64, compared with an oracle that shares nothing with them: words are
//! executed by qemu-aarch64 from random registers, and by a machine of numbers as the semantics
//! say. What changes, and to what value where the semantics know it, must agree.

#![cfg_attr(not(feature = "emulation"), allow(dead_code))]

mod agree;
mod emulator;
mod encodings;
mod machine;
mod random;
mod words;

use emulator::{Answer, End, Record};
use encodings::ENCODINGS;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::semantics::{Operation, a64, writes};
use jlctl_corpus::Image;
use object::{Object as _, ObjectSection as _, SectionKind};
use random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Random words of each encoding.
const WORDS: usize = 160;

/// What was found for the words of one name.
#[derive(Debug, Default)]
struct Tally {
    words: usize,
    completed: usize,
    /// Words of which the semantics say that anything may change, without those of vectors: the
    /// decoder does not know the newest of them.
    unknown: usize,
    /// Registers that the other words set by the semantics.
    set: usize,
    /// Those of them that changed.
    changed: usize,
    differences: Vec<String>,
}

/// Executes the records and compares them, by name.
fn compare<'a>(names: &[&'a str], records: &[Record]) -> BTreeMap<&'a str, Tally> {
    let answers = emulator::run(records);
    let memory = emulator::window();
    let mut found: BTreeMap<&str, Tally> = BTreeMap::new();
    for ((name, record), answer) in names.iter().zip(records).zip(&answers) {
        add(found.entry(name).or_default(), record, answer, &memory);
    }
    found
}

fn add(tally: &mut Tally, record: &Record, answer: &Answer, memory: &[u8]) {
    tally.words += 1;
    let operation = a64(record.word, Svma(emulator::WORD));
    let is_vector = record.word >> 25 & 7 == 7;
    match answer.end {
        End::Trapped => {}
        _ if operation == Operation::Unknown => tally.unknown += usize::from(!is_vector),
        _ => {
            let (before, after) = (&record.state.x, &answer.state.x);
            let set = writes(&operation);
            let changed = set.iter().map(|register| usize::from(register.number()));
            tally.set += set.iter().count();
            tally.changed += changed.filter(|at| before[*at] != after[*at]).count();
        }
    }
    tally.completed += usize::from(answer.end != End::Trapped);
    let differences = agree::differences(record, answer, memory);
    if !differences.is_empty() {
        tally.differences.push(format!("{:08x}: {}", record.word, differences.join("; ")));
    }
}

/// Fails with the first differences of each name.
fn demand_agreement(found: &BTreeMap<&str, Tally>) {
    let mut report = String::new();
    for (name, tally) in found.iter().filter(|(_, tally)| !tally.differences.is_empty()) {
        let count = tally.differences.len();
        let _ = writeln!(report, "{name}: {count} of {} words differ", tally.words);
        for difference in tally.differences.iter().take(4) {
            let _ = writeln!(report, "    {difference}");
        }
    }
    assert!(report.is_empty(), "the semantics differ from the oracle:\n{report}");
}

/// Fails if an encoding was hardly compared, or if the semantics say too little about it.
fn demand_coverage(found: &BTreeMap<&str, Tally>) {
    for (name, tally) in found {
        assert!(tally.completed >= 10, "{name}: {} words completed", tally.completed);
        assert!(tally.unknown == 0, "{name}: {} unknown words", tally.unknown);
        // Calls change a register, and may change others.
        let (set, changed) = (tally.set, tally.changed);
        assert!(changed * 20 >= set, "{name}: {changed} registers change of {set} that are set");
    }
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn words_of_each_encoding() {
    let mut random = Random(1);
    let all = || ENCODINGS.iter().flat_map(|encoding| std::iter::repeat_n(encoding, WORDS));
    let records: Vec<Record> = all().map(|encoding| words::record(encoding, &mut random)).collect();
    let names: Vec<&str> = all().map(|encoding| encoding.name).collect();
    let found = compare(&names, &records);
    demand_agreement(&found);
    demand_coverage(&found);
}

/// Words for which a fault of the semantics is or was likely, each in many states.
const CASES: &[(&str, u32)] = &[
    ("mov x1, sp", 0x9100_03e1),
    ("mov sp, x1", 0x9100_003f),
    ("cmp sp, w2, sxth #4", 0xeb22_b3ff),
    ("ldr xzr, [sp], #16", 0xf841_07ff),
    ("ldp x30, xzr, [sp, #-16]!", 0xa9ff_7ffe),
    ("ldr x3, [x3, x4]", 0xf864_6863),
    ("sbfiz w4, w5, #3, #7", 0x131d_18a4),
    ("ubfm of the zero register", 0xd340_fff1),
    ("bfxil x6, xzr, #8, #16", 0xb348_5fe6),
    // The block that has the address, not the bytes after the address.
    ("dc zva, x2", 0xd50b_7422),
    // The sign of the offset is not in the field of its low bits.
    ("ldrab x25, [x1, #2832]!", 0xf8b6_2c39),
    ("mrs x6, rndr", 0xd53b_2406),
];

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn words_by_name() {
    let mut random = Random(2);
    let all = || CASES.iter().flat_map(|case| std::iter::repeat_n(*case, 32));
    let records: Vec<Record> = all().map(|(_, word)| words::of(word, &mut random)).collect();
    let names: Vec<&str> = all().map(|(name, _)| name).collect();
    let found = compare(&names, &records);
    demand_agreement(&found);
    demand_coverage(&found);
}

/// Words of no encoding in particular, undefined ones too.
#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn words_at_random() {
    let mut random = Random(5);
    let words: Vec<u32> = std::iter::repeat_with(|| random.word())
        .filter(|word| words::is_comparable(*word))
        .take(20_000)
        .collect();
    let records: Vec<Record> = words.iter().map(|word| words::of(*word, &mut random)).collect();
    let names: Vec<&str> = words.iter().map(|word| words::name(*word)).collect();
    demand_agreement(&compare(&names, &records));
}

/// All of N, immr and imms in both widths, reserved ones too.
#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn every_logical_immediate() {
    let mut random = Random(3);
    let fields = (0..1 << 13).flat_map(|fields: u32| [fields << 10, 1 << 31 | fields << 10]);
    // EOR of x1 into x0.
    let records: Vec<Record> =
        fields.map(|fields| words::of(0x5200_0020 | fields, &mut random)).collect();
    let found = compare(&vec!["EOR (immediate)"; records.len()], &records);
    demand_agreement(&found);
    // An element of 2^n bits has 2^n - 1 numbers of ones, and immr is any (`DecodeBitMasks`,
    // Arm ARM J1). Elements of 64 bits are in 64 bits only.
    let narrow: usize = [2, 4, 8, 16, 32].map(|size: usize| 64 * (size - 1)).iter().sum();
    let completed: usize = found.values().map(|tally| tally.completed).sum();
    assert_eq!(completed, 64 * 63 + 2 * narrow);
}

/// Words of a kernel, taken evenly from its code.
#[test]
#[cfg_attr(
    not(all(feature = "emulation", feature = "real-images")),
    ignore = "needs cross compilers, QEMU and real kernels: testdata/check runs it"
)]
fn words_of_real_kernels() {
    for image in [Image::Vmlinux510, Image::Vmlinux612] {
        let mut random = Random(4);
        let records: Vec<Record> = words_of(image)
            .into_iter()
            .filter(|word| words::is_comparable(*word))
            .map(|word| words::of(word, &mut random))
            .collect();
        let names: Vec<&str> = records.iter().map(|record| words::name(record.word)).collect();
        let found = compare(&names, &records);
        demand_agreement(&found);
        let count = |of: fn(&Tally) -> usize| found.values().map(of).sum::<usize>();
        let (completed, unknown) = (count(|tally| tally.completed), count(|tally| tally.unknown));
        assert!(completed * 10 > records.len() * 8, "{completed} of {}", records.len());
        assert!(unknown * 1000 < completed, "{unknown} of {completed}");
    }
}

/// Different words of the code of a kernel.
fn words_of(image: Image) -> BTreeSet<u32> {
    const WANTED: usize = 40_000;
    let path = jlctl_corpus::path(image).expect("the kernel is fetched");
    let bytes = std::fs::read(path).expect("the kernel can be read");
    let file = object::File::parse(&*bytes).expect("it is an ELF file");
    let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
    let code: Vec<u8> =
        code.flat_map(|section| section.data().expect("it has contents").to_vec()).collect();
    let words = code.chunks_exact(4).step_by(code.len() / 4 / WANTED);
    words.map(|word| u32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
}
