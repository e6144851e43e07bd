//! Addresses: which sections an image has, in which order, and what lies where.

use super::note;
use super::pool::{PAGE, Pool, Slot, code, nobits, read_only, writable};
use super::relocate;
use crate::elf::consts;
use crate::spec::{DataSection, Flavour, FunctionSpec, ImageSpec, Layout, Locate, TextSection};
use jlctl_shim::abi::{AbsoluteEntry, RelativeEntry, StaticKey};
use jlctl_shim::insn::aarch64::INSN_BYTES;

/// Bytes of `.head.text`.
const HEAD_BYTES: u64 = 64;

/// Where everything lies.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) pool: Pool,
    /// Per function of the spec.
    pub(super) functions: Vec<u64>,
    /// Per key object of the spec: its section and address.
    pub(super) objects: Vec<(String, u64)>,
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

/// The banner that `linux_banner` holds, NUL included.
pub(super) fn banner(spec: &ImageSpec) -> Vec<u8> {
    let text =
        format!("Linux version {} (jlctl@testdata) (a synthetic image) #1 SMP\n\0", spec.release);
    text.into_bytes()
}

/// Gives everything in `spec` an address.
pub(super) fn assign(spec: &ImageSpec) -> Addresses {
    let mut pool = Pool::default();
    let table_section = match spec.flavour {
        Flavour::Kernel => kernel_sections(&mut pool, spec),
        Flavour::User => user_sections(&mut pool, spec),
    };
    let banner = pool.add(".rodata", banner(spec).len() as u64, 8);
    let table_bytes = entry_size(spec.layout) * spec.sites.len() as u64;
    let table = pool.add(table_section, table_bytes, 8);
    let functions: Vec<Slot> =
        spec.functions.iter().map(|f| place_function(&mut pool, f)).collect();
    let objects: Vec<Slot> = spec
        .keys
        .iter()
        .map(|key| pool.add(data_section(key.section), key.size, StaticKey::ALIGN as u64))
        .collect();
    pool.assign(spec.base);
    Addresses {
        functions: functions.iter().map(|slot| pool.address(*slot)).collect(),
        objects: objects
            .iter()
            .map(|slot| (pool.section_of(*slot).to_owned(), pool.address(*slot)))
            .collect(),
        table: pool.address(table),
        table_section,
        banner: pool.address(banner),
        pool,
    }
}

fn place_function(pool: &mut Pool, function: &FunctionSpec) -> Slot {
    pool.add(function.section.name(), function.insns * INSN_BYTES, 8)
}

/// The linked section of a key's object.
fn data_section(section: DataSection) -> &'static str {
    match section {
        DataSection::Data => ".data",
        DataSection::RoAfterInit => ".rodata",
        DataSection::Bss => ".bss",
    }
}

fn kernel_sections(pool: &mut Pool, spec: &ImageSpec) -> &'static str {
    pool.add_section(code(".head.text", PAGE));
    pool.add(".head.text", HEAD_BYTES, 4);
    pool.add_section(code(".text", 64));
    pool.add_section(writable(".rodata", PAGE));
    add_note(pool, spec, ".notes");
    add_init_sections(pool);
    relocate::add_sections(pool, spec);
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
    add_note(pool, spec, ".note.gnu.build-id");
    relocate::add_sections(pool, spec);
    pool.add_section(code(".text", PAGE));
    add_init_sections(pool);
    relocate::add_dynamic(pool, spec);
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

fn add_note(pool: &mut Pool, spec: &ImageSpec, name: &str) {
    if let Some(id) = &spec.build_id {
        pool.add_section(read_only(name, 4).typed(consts::SHT_NOTE, 0));
        pool.add(name, note::size(id), 4);
    }
}
