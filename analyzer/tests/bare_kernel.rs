//! The demo kernel without a symbol table: raw images and stripped files, with
//! and without kallsyms.

use jlctl_synthetic::elf::{Elf, consts};
use jlctl_synthetic::kallsyms::{KallsymsSpec, KallsymsSymbol, Release};
use jlctl_synthetic::link::Linked;
use jlctl_synthetic::spec::ImageSpec;

/// The location of the tables of kallsyms in the image.
const ROOM: &str = "kallsyms_room";
/// The room for the tables, in bytes.
const ROOM_BYTES: u64 = 1 << 17;
/// The relocations by which the kernel relocates itself.
const R_AARCH64_RELATIVE: u64 = 1027;
/// Symbols besides those of the image: tables with few symbols are not recognised.
const FILLERS: usize = 2000;

/// `spec`, linked, with kallsyms of the symbols `kept` by kind and name, and with
/// the relocations that its layout needs if it is `is_relocated`.
pub(crate) fn with_kallsyms(
    spec: ImageSpec,
    release: Release,
    is_relocated: bool,
    kept: impl Fn(char, &str) -> bool,
) -> Linked {
    let mut linked = spec.reserve(ROOM, ROOM_BYTES).link();
    let (load, room) = (linked.address("_text"), linked.address(ROOM));
    let mut symbols = symbols(&linked.elf);
    symbols.extend((0..FILLERS).map(|index| KallsymsSymbol {
        address: room + 8 * index as u64,
        text: format!("r{}_{index}", ["sched", "init", "net", "tcp"][index % 4]),
    }));
    symbols.retain(|symbol| {
        let (kind, name) = symbol.text.split_at(1);
        kept(kind.chars().next().expect("a kind"), name)
    });
    symbols.sort_by_key(|symbol| symbol.address);
    let before = usize::try_from(room - load).expect("a test image is small");
    // Self-relative offsets do not give the load address.
    let relocation = (is_relocated && release == Release::V7_0).then_some(R_AARCH64_RELATIVE);
    let spec = KallsymsSpec { symbols, relocation, load, before, ..KallsymsSpec::new(release, 0) };
    let mut tables = spec.build().split_off(before);
    if relocation.is_some() {
        move_records(&mut tables, room);
    }
    linked.write_reserved(ROOM, &tables);
    linked
}

/// Moves the targets of the records to words of the room at `room`: the records give the load
/// address, and must not change the rest of the image.
fn move_records(tables: &mut [u8], room: u64) {
    let kind = R_AARCH64_RELATIVE.to_le_bytes();
    let mut place = room;
    for kind_at in (8..tables.len()).step_by(8) {
        if tables[kind_at..].starts_with(&kind) {
            tables[kind_at - 8..kind_at].copy_from_slice(&place.to_le_bytes());
            place += 8;
        }
    }
}

/// The named symbols, as nm prints them.
fn symbols(elf: &Elf) -> Vec<KallsymsSymbol> {
    let kind = |address: u64| {
        let section = elf.sections.iter().find(|section| section.contains(address));
        match section.map(|section| section.name.as_str()) {
            Some(name) if name.contains("text") => 't',
            Some(".bss") => 'b',
            _ => 'd',
        }
    };
    let named = elf.symbols.iter().filter(|symbol| {
        let is_file = symbol.kind == consts::STT_FILE;
        !is_file && !symbol.name.is_empty() && !symbol.name.starts_with('$') && symbol.value != 0
    });
    named
        .map(|symbol| {
            let kind = kind(symbol.value);
            let is_local = symbol.bind == consts::STB_LOCAL;
            let kind = if is_local { kind } else { kind.to_ascii_uppercase() };
            KallsymsSymbol { address: symbol.value, text: format!("{kind}{}", symbol.name) }
        })
        .collect()
}
