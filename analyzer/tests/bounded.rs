//! Well-formed files with many overlapping sections or symbols: a lookup must not walk through all
//! of them.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{JumpTable, LocatedBy};
use jlctl_synthetic::broken::table;
use jlctl_synthetic::elf::{Content, Section, Symbol, SymbolSection, consts};
use std::time::{Duration, Instant};

/// Far longer than a few million steps take, even unoptimised on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

const ENTRIES: usize = 60_000;

/// An absolute table that repeats one entry, whose site and target are at `code`.
fn entries(code: u64, key: u64) -> Content {
    Content::Bytes([code, code, key].map(u64::to_le_bytes).concat().repeat(ENTRIES))
}

fn within<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    result
}

/// One section covers the whole image, and tens of thousands lie inside it before the address that
/// every entry names.
#[test]
fn a_lookup_among_nested_sections_is_bounded() {
    const SECTIONS: u64 = 30_000;
    const BASE: u64 = 0x1000_0000;
    let mut linked = table::with_section().link();
    linked.elf.segments.clear();
    let (code, key) = (linked.address("broken_fn"), BASE + 16 * SECTIONS + 8);
    let table = linked.elf.section_mut("__jump_table").expect("the program has the section");
    table.content = entries(code, key);
    table.address = 0x4000_0000;
    let nobits = |start: u64, size: u64| Section {
        content: Content::NoBits(size),
        sh_type: consts::SHT_NOBITS,
        ..Section::new("s", Vec::new()).loaded(start, consts::SHF_WRITE, 8)
    };
    linked.elf.sections.push(nobits(BASE - 16, 16 * SECTIONS + 0x1000));
    linked.elf.sections.extend((0..SECTIONS).map(|index| nobits(BASE + 16 * index, 8)));
    let bytes = linked.bytes();
    let image = Image::parse(&bytes).expect("the image can be read");
    let found = within(|| JumpTable::read(&image)).expect("there is a table");
    assert_eq!((found.len(), found.location().by), (ENTRIES, LocatedBy::Section));
    assert!(image.section_at(Svma(key)).is_some(), "the covering section is found");
}

/// Symbols that all cover the address that every entry names.
#[test]
fn a_lookup_among_overlapping_symbols_is_bounded() {
    const SYMBOLS: u64 = 100_000;
    let mut linked = table::with_section().link();
    let key = linked.address("broken_key");
    let text = linked.elf.section_mut(".text").expect("the program has code");
    // The symbol covers its neighbours as well, which does not matter here.
    text.content =
        Content::Bytes(vec![0; 2 * usize::try_from(SYMBOLS).expect("the file is small")]);
    let text = text.address;
    linked.elf.segments.clear();
    let table = linked.elf.section_mut("__jump_table").expect("the program has the section");
    table.content = entries(text + SYMBOLS + 8, key);
    table.address = 0x4000_0000;
    linked.elf.symbols.extend((0..SYMBOLS).map(|index| Symbol {
        name: "f".to_owned(),
        value: text + index,
        size: u64::from(index == 0) * u64::MAX / 2 + 1,
        bind: consts::STB_GLOBAL,
        kind: consts::STT_FUNC,
        section: SymbolSection::In(".text".to_owned()),
    }));
    let bytes = linked.bytes();
    let image = Image::parse(&bytes).expect("the image can be read");
    let found = within(|| JumpTable::read(&image)).expect("there is a table");
    assert_eq!(found.len(), ENTRIES);
}
