//! Addresses: the sections of an image, their order, and the addresses of their items.

use super::modinfo;
use super::note;
use super::pool::{PAGE, Pool, Slot, code, nobits, read_only, writable};
use super::relative_relocations;
use crate::entry::UNIT;
use crate::spec::{DataSection, Flavour, FunctionSpec, ImageSpec, Layout, Locate, TextSection};
use jlctl_shim::abi::{AbsoluteEntry, RelativeEntry, StaticKey};

/// Bytes of `.head.text`.
const HEAD_BYTES: u64 = 64;

/// The address of everything in the image.
#[derive(Debug)]
pub(super) struct AddressMap {
    pub(super) pool: Pool,
    /// Per function of the spec.
    pub(super) functions: Vec<u64>,
    /// Per key object of the spec: its section and address.
    pub(super) objects: Vec<(String, u64)>,
    /// Pointers in objects: their address, the address of the string, the string.
    pub(super) pointers: Vec<(u64, u64, String)>,
    /// Per reserved space of the spec.
    pub(super) reserved: Vec<u64>,
    pub(super) table: u64,
    pub(super) table_section: &'static str,
    pub(super) banner: u64,
}

/// Bytes of one entry of the layout.
pub(super) fn entry_size(layout: Layout) -> u64 {
    match layout {
        Layout::Relative => RelativeEntry::SIZE as u64,
        Layout::Absolute => AbsoluteEntry::SIZE as u64,
    }
}

/// The banner that `linux_banner` holds, NUL included; empty for a module.
pub fn banner(spec: &ImageSpec) -> Vec<u8> {
    if spec.flavour == Flavour::Module {
        return Vec::new();
    }
    let text =
        format!("Linux version {} (jlctl@testdata) (a synthetic image) #1 SMP\n\0", spec.release);
    text.into_bytes()
}

/// Gives everything in `spec` an address.
pub(super) fn assign(spec: &ImageSpec) -> AddressMap {
    let mut pool = Pool::default();
    let table_section = match spec.flavour {
        Flavour::Kernel => kernel_sections(&mut pool, spec),
        Flavour::User => user_sections(&mut pool, spec),
        Flavour::Module => modinfo::sections(&mut pool, spec),
    };
    let banner = pool.add(".rodata", banner(spec).len() as u64, 8);
    let table_bytes = entry_size(spec.layout) * spec.sites.len() as u64;
    let table = pool.add(table_section, table_bytes, 8);
    let functions: Vec<Slot> =
        spec.functions.iter().map(|f| place_function(&mut pool, spec, f)).collect();
    let objects: Vec<Slot> = spec
        .keys
        .iter()
        .map(|key| pool.add(data_section(spec, key.section), key.size, StaticKey::ALIGN as u64))
        .collect();
    let strings = place_strings(&mut pool, spec);
    let reserved: Vec<Slot> =
        spec.reserved.iter().map(|space| pool.add(".rodata", space.size, 8)).collect();
    pool.assign(spec.base);
    AddressMap {
        functions: functions.iter().map(|slot| pool.address(*slot)).collect(),
        objects: objects
            .iter()
            .map(|slot| (pool.section_of(*slot).to_owned(), pool.address(*slot)))
            .collect(),
        pointers: strings
            .into_iter()
            .map(|(object, offset, slot, text)| {
                (pool.address(objects[object]) + offset, pool.address(slot), text)
            })
            .collect(),
        reserved: reserved.iter().map(|slot| pool.address(*slot)).collect(),
        table: pool.address(table),
        table_section,
        banner: pool.address(banner),
        pool,
    }
}

/// Reserves space for each string of the keys' objects: the object's number, the offset of the
/// pointer, the slot and the string.
fn place_strings(pool: &mut Pool, spec: &ImageSpec) -> Vec<(usize, u64, Slot, String)> {
    let section = if spec.flavour == Flavour::Module { modinfo::STRINGS } else { ".rodata" };
    let mut placed = Vec::new();
    for (object, key) in spec.keys.iter().enumerate() {
        for (offset, text) in key.strings() {
            let slot = pool.add(section, text.len() as u64 + 1, 8);
            placed.push((object, offset, slot, text.to_owned()));
        }
    }
    placed
}

fn place_function(pool: &mut Pool, spec: &ImageSpec, function: &FunctionSpec) -> Slot {
    pool.add(text_section(spec, function.section), function.insns * UNIT, 8)
}

/// The section of a function, after linking if the image is linked.
pub(super) fn text_section(spec: &ImageSpec, section: TextSection) -> &'static str {
    match section {
        TextSection::Unlikely if spec.flavour != Flavour::Module => TextSection::Text.name(),
        section => section.name(),
    }
}

/// The section of a key's object, after linking if the image is linked.
fn data_section(spec: &ImageSpec, section: DataSection) -> &'static str {
    match (section, spec.flavour) {
        (DataSection::Bss, _) => ".bss",
        (DataSection::DynamicDebug, Flavour::Module) => "__dyndbg",
        (DataSection::RoAfterInit, Flavour::Module) => ".data..ro_after_init",
        (DataSection::ReadMostly, Flavour::Module) => ".data..read_mostly",
        (DataSection::RoAfterInit, _) => ".rodata",
        (DataSection::Data | DataSection::ReadMostly | DataSection::DynamicDebug, _) => ".data",
    }
}

fn kernel_sections(pool: &mut Pool, spec: &ImageSpec) -> &'static str {
    pool.add_section(code(".head.text", PAGE));
    pool.add(".head.text", HEAD_BYTES, 4);
    pool.add_section(code(".text", 64));
    pool.add_section(writable(".rodata", PAGE));
    note::add_section(pool, spec, ".notes");
    add_init_sections(pool);
    relative_relocations::add_sections(pool, spec);
    let table = match spec.locate {
        Locate::Symbols => ".rodata",
        Locate::Section => {
            pool.add_section(writable("__jump_table", 8));
            "__jump_table"
        }
    };
    add_data_sections(pool);
    table
}

fn user_sections(pool: &mut Pool, spec: &ImageSpec) -> &'static str {
    pool.add_section(read_only(".rodata", PAGE));
    note::add_section(pool, spec, ".note.gnu.build-id");
    relative_relocations::add_sections(pool, spec);
    pool.add_section(code(".text", PAGE));
    add_init_sections(pool);
    relative_relocations::add_dynamic(pool, spec);
    pool.add_section(writable("__jump_table", PAGE));
    add_data_sections(pool);
    "__jump_table"
}

fn add_init_sections(pool: &mut Pool) {
    pool.add_section(code(TextSection::Init.name(), 8));
    pool.add_section(code(TextSection::Exit.name(), 8));
}

fn add_data_sections(pool: &mut Pool) {
    pool.add_section(writable(".data", 64));
    pool.add_section(nobits(".bss", 64));
}
