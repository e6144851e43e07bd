//! From an [`ImageSpec`] to an [`Elf`]: addresses (`layout.rs`), symbols,
//! contents (`fill.rs`), relocations and segments.  A module is laid out like
//! any image, and taken apart again at the end (`module.rs`).

mod extent;
mod fill;
mod insn;
mod layout;
mod marks;
mod modinfo;
mod module;
pub(crate) mod note;
mod pool;
mod rela;
mod relocate;
mod segments;
mod symbols;

pub use extent::Location;
pub use insn::{SiteBytes, fill as fill_code, jump};
pub(crate) use layout::UNIT;
pub use layout::banner;
pub use modinfo::{MODINFO, THIS_MODULE, THIS_MODULE_NAME, modinfo, sections as module_sections};
pub use pool::{PAGE, Pool, Slot, code, nobits, read_only, writable};
pub(crate) use rela::{Fixup, FixupTarget};
pub use relocate::{rela, relr, relr_words};
pub use segments::of as segments;
pub use symbols::Definitions;

use crate::elf::{Elf, consts};
use crate::spec::{Branch, ElfType, Flavour, ImageSpec, Layout, Machine, Place, Relocations};
use jlctl_shim::abi::StaticKey;
use std::ops::Range;

/// What one table entry means, as a correct reader must find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Address of the patched instruction.
    pub code: u64,
    /// Address that a JMP goes to.
    pub target: u64,
    /// Address of the key, without flag bits.
    pub key: u64,
    /// Branch sense: likely.
    pub branch: bool,
    /// The init bit.
    pub init: bool,
    /// Where the instruction written at `code` goes to, if it is a jump.
    pub jump: Option<u64>,
    /// The bytes written at `code`.
    pub insn: SiteBytes,
    /// The first four of them as a little-endian word.
    pub word: u32,
}

impl Entry {
    /// Whether the NOP of `machine` was written at the site.
    pub(crate) fn is_nop(&self, machine: Machine) -> bool {
        self.insn == insn::nop(machine, self.insn.length() == 2)
    }
}

/// A linked image: its ELF model, still editable, and what it means.
///
/// The addresses of a module are those of a layout that its file knows nothing
/// of: sections one after the other, undefined symbols behind them, everything
/// at an address of its own.  [`Linked::location`] leads back to the file.
#[derive(Debug)]
pub struct Linked {
    /// The file.
    pub elf: Elf,
    /// The entries, in table order.
    pub entries: Vec<Entry>,
    /// Addresses of the jump table.
    pub table: Range<u64>,
    extents: Vec<extent::Extent>,
    definitions: Definitions,
}

impl Linked {
    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.elf.write()
    }

    /// Address of a place, such as `demo_open+0x8`.
    ///
    /// # Panics
    /// If there is no such symbol, or more than one.
    #[must_use]
    pub fn address(&self, place: &str) -> u64 {
        self.definitions.resolve(&Place::from(place))
    }

    /// Puts `bytes` into the room `name` of the spec.
    ///
    /// # Panics
    /// If there is no such room, if it is too small, or if the image is a module,
    /// whose addresses are gone.
    pub fn furnish(&mut self, name: &str, bytes: &[u8]) {
        assert!(self.elf.e_type != consts::ET_REL, "a module has no addresses");
        let symbol = self.elf.symbol(name).unwrap_or_else(|| panic!("no room {name}"));
        let (address, size) = (symbol.value, symbol.size);
        assert!(bytes.len() as u64 <= size, "{name} has room for {size} bytes only");
        assert!(bytes.is_empty() || self.elf.poke(address, bytes), "{name} is in the file");
    }

    /// Where an address of the layout lies, which is all that a module's file
    /// says of it; `None` outside every section and undefined symbol.
    #[must_use]
    pub fn location(&self, address: u64) -> Option<Location> {
        extent::locate(&self.extents, address)
    }
}

/// Links `spec`; see [`ImageSpec::link`].
pub(crate) fn link(spec: &ImageSpec) -> Linked {
    assert!(
        spec.layout == Layout::Absolute
            || spec.relocations == Relocations::None
            || spec.keys.iter().any(|key| !key.strings().is_empty()),
        "self-relative entries need no relocation"
    );
    let mut addresses = layout::assign(spec);
    let definitions = marks::define(spec, &addresses);
    let extents = extent::extents(spec, &addresses);
    let entries = entries(spec, &addresses, &extents, &definitions);
    let sections = std::mem::take(&mut addresses.pool).into_sections();
    let mut elf = Elf {
        endian: spec.endian,
        is_64: true,
        machine: match spec.machine {
            Machine::Aarch64 => consts::EM_AARCH64,
            Machine::X86_64 => consts::EM_X86_64,
            Machine::Riscv64 => consts::EM_RISCV,
        },
        e_type: match spec.elf_type {
            ElfType::Exec => consts::ET_EXEC,
            ElfType::Dyn => consts::ET_DYN,
            ElfType::Rel => consts::ET_REL,
        },
        entry: match spec.flavour {
            Flavour::Kernel => spec.base,
            Flavour::User => addresses.functions.first().copied().unwrap_or(0),
            Flavour::Module => 0,
        },
        segments: segments::of(&sections, spec.flavour),
        symbols: definitions.symbols(&sections),
        sections,
    };
    fill(&mut elf, spec, &addresses, &entries);
    let size = layout::entry_size(spec.layout) * entries.len() as u64;
    let table = addresses.table..addresses.table + size;
    let functions = crate::dwarf::functions(spec, &addresses.functions, &entries);
    let mut debug = Vec::new();
    if let Some(version) = spec.dwarf {
        debug = crate::dwarf::sections(spec, version, &functions, &addresses.objects);
    }
    if spec.flavour == Flavour::Module {
        let fixups = module::add_debug(&mut elf, debug.into_iter().map(|d| (d.section, d.fixups)));
        module::take_apart(&mut elf, spec, (&addresses, &extents), &entries, &fixups);
    } else {
        elf.sections.extend(debug.into_iter().map(|debug| debug.linked(spec.endian)));
    }
    Linked { elf, entries, table, extents, definitions }
}

fn entries(
    spec: &ImageSpec,
    addresses: &layout::Addresses,
    extents: &[extent::Extent],
    names: &Definitions,
) -> Vec<Entry> {
    let entry = |site: &crate::spec::SiteSpec| {
        let [code, target, key] = [&site.code, &site.target, &site.key].map(|p| names.resolve(p));
        let branch = site.branch == Branch::Likely;
        let on = fill::is_initially_true(spec, addresses, key);
        let jump = insn::destination(site, code, target, on);
        let insn = match jump {
            Some(to) => module::jump(spec, extents, site.short, (code, to)),
            None => insn::straight(spec.machine, site),
        };
        Entry { code, target, key, branch, init: site.init, jump, insn, word: insn.word() }
    };
    spec.sites.iter().map(entry).collect()
}

fn fill(elf: &mut Elf, spec: &ImageSpec, addresses: &layout::Addresses, entries: &[Entry]) {
    fill::functions(elf, spec, addresses);
    elf.poke(addresses.banner, &layout::banner(spec));
    modinfo::fill(elf, spec);
    for (key, (_, address)) in spec.keys.iter().zip(&addresses.objects) {
        assert!(key.size >= StaticKey::SIZE as u64, "{} is smaller than a key", key.name);
        let bytes = fill::object(elf, key);
        // Keys in .bss have no bytes to write.
        elf.poke(*address, &bytes);
    }
    for entry in entries {
        // A site outside every section has no bytes either.
        elf.poke(entry.code, entry.insn.as_slice());
    }
    let table = fill::table(elf, spec, addresses.table, entries);
    assert!(table.is_empty() || elf.poke(addresses.table, &table), "the table has room");
    fill::pointers(elf, spec, addresses);
    if spec.flavour != Flavour::Module {
        relocate::fill(elf, spec, &fill::words(spec, addresses, entries));
    }
    if let Some(id) = &spec.build_id {
        let note = note::build_id(elf.endian, id);
        let section = elf.sections.iter().find(|section| section.sh_type == consts::SHT_NOTE);
        let address = section.expect("a build id has a note section").address;
        elf.poke(address, &note);
    }
}
