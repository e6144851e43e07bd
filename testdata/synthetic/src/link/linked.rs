//! The linked image, and the order in which it is made.

use super::extent::{Extent, Location, extents, locate};
use super::layout::{self, AddressMap};
use super::symbols::Definitions;
use super::{fill, marks, modinfo, module, note, relative_relocations, segments};
use crate::elf::{Elf, consts};
use crate::entry::{Entry, destination, straight};
use crate::spec::{AddressExpr, Branch, ElfType, Flavour, ImageSpec, Layout, Machine, Relocations};
use jlctl_shim::abi::StaticKey;
use std::ops::Range;

/// A linked image: its ELF model, which can still be edited, and its decoded table.
///
/// The addresses of a module are those of a layout that its file does not contain: sections one
/// after another, then undefined symbols, each at a unique address. [`Linked::location`] maps
/// an address to the file.
#[derive(Debug)]
pub struct Linked {
    /// The file.
    pub elf: Elf,
    /// The entries, in table order.
    pub entries: Vec<Entry>,
    /// Addresses of the jump table.
    pub table: Range<u64>,
    extents: Vec<Extent>,
    definitions: Definitions,
}

impl Linked {
    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.elf.write()
    }

    /// The address of an expression such as `demo_open+0x8`.
    ///
    /// # Panics
    /// If the symbol does not exist or is ambiguous.
    #[must_use]
    pub fn address(&self, expr: &str) -> u64 {
        self.definitions.resolve(&AddressExpr::from(expr))
    }

    /// Writes `bytes` into the space `name` that the spec reserves.
    ///
    /// # Panics
    /// If the spec reserves no such space, if it is too small, or if the image is a module,
    /// whose sections have no addresses.
    pub fn write_reserved(&mut self, name: &str, bytes: &[u8]) {
        assert!(self.elf.e_type != consts::ET_REL, "a module has no addresses");
        let symbol = self.elf.symbol(name).unwrap_or_else(|| panic!("no reserved space {name}"));
        let (address, size) = (symbol.value, symbol.size);
        assert!(bytes.len() as u64 <= size, "{name} has room for {size} bytes only");
        assert!(bytes.is_empty() || self.elf.poke(address, bytes), "{name} is in the file");
    }

    /// The location of an address of the layout in terms of the module's file; `None` outside
    /// every section and undefined symbol.
    #[must_use]
    pub fn location(&self, address: u64) -> Option<Location> {
        locate(&self.extents, address)
    }
}

impl ImageSpec {
    /// Gives everything an address and bytes.
    ///
    /// # Panics
    /// If the declaration contradicts itself, for example if a site names a
    /// symbol that does not exist or holds a branch that cannot be encoded.
    #[must_use]
    pub fn link(&self) -> Linked {
        link(self)
    }

    /// The bytes of the image.
    ///
    /// # Panics
    /// As [`ImageSpec::link`].
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        self.link().bytes()
    }
}

fn link(spec: &ImageSpec) -> Linked {
    assert!(
        spec.layout == Layout::Absolute
            || spec.relocations == Relocations::None
            || spec.keys.iter().any(|key| !key.strings().is_empty()),
        "self-relative entries need no relocation"
    );
    let mut addresses = layout::assign(spec);
    let definitions = marks::define(spec, &addresses);
    let extents = extents(spec, &addresses);
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
    addresses: &AddressMap,
    extents: &[Extent],
    names: &Definitions,
) -> Vec<Entry> {
    let entry = |site: &crate::spec::SiteSpec| {
        let [code, target, key] = [&site.code, &site.target, &site.key].map(|p| names.resolve(p));
        let branch = site.branch == Branch::Likely;
        let on = fill::is_initially_true(spec, addresses, key);
        let jump = destination(site, code, target, on);
        let insn = match jump {
            Some(to) => module::jump(spec, extents, site.short, (code, to)),
            None => straight(spec.machine, site),
        };
        Entry { code, target, key, branch, init: site.init, jump, insn, word: insn.word() }
    };
    spec.sites.iter().map(entry).collect()
}

fn fill(elf: &mut Elf, spec: &ImageSpec, addresses: &AddressMap, entries: &[Entry]) {
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
        relative_relocations::fill(elf, spec, &fill::words(spec, addresses, entries));
    }
    if let Some(id) = &spec.build_id {
        let note = note::build_id(elf.endian, id);
        let section = elf.sections.iter().find(|section| section.sh_type == consts::SHT_NOTE);
        let address = section.expect("a build id has a note section").address;
        elf.poke(address, &note);
    }
}
