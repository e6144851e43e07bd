//! What an image should hold, declared before anything has an address.
//!
//! An [`ImageSpec`] lists keys, functions and sites; [`ImageSpec::link`] gives
//! them addresses and bytes.  Everything refers to everything else by the text
//! of a [`Place`], such as `demo_open+0x8` or `kernel/demo.c:___once_key.0`.

mod function;
mod holder;
mod key;
mod machine;
mod module;
mod place;
mod room;
mod site;

pub use function::{FunctionSpec, TextSection};
pub use holder::{Descriptor, Holder, VariableSpec};
pub use key::{DataSection, KeySpec, Scope};
pub use machine::Machine;
pub use module::ModuleSpec;
pub use place::Place;
pub use room::RoomSpec;
pub use site::{Branch, InlineFrame, SiteInsn, SiteSpec};

use crate::elf::Endian;
use crate::link::Linked;

/// Whether the file is position-independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElfType {
    /// `ET_EXEC`.
    Exec,
    /// `ET_DYN`.
    Dyn,
    /// `ET_REL`: a module.
    Rel,
}

/// How the entries of the jump table lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 16-byte entries of displacements.
    Relative,
    /// 24-byte entries of addresses.
    Absolute,
}

/// How a reader finds the jump table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locate {
    /// Inside `.rodata`, between `__start___jump_table` and `__stop___jump_table`.
    Symbols,
    /// A section named `__jump_table`.
    Section,
}

/// How absolute table fields, and pointers in key objects, get their values.
/// A module always has relocations of its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocations {
    /// They are in the file.
    None,
    /// Zero in the file; `R_AARCH64_RELATIVE` (or its like) in `.rela.dyn`.
    Rela,
    /// Link-time addresses in the file, positions in `.relr.dyn`.
    Relr,
}

/// Which sections surround the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// `.head.text`, `.init.text`, `linux_banner`, the kernel's marker symbols.
    Kernel,
    /// A user program.
    User,
    /// A loadable kernel module: see [`ModuleSpec`].
    Module,
}

/// A whole image, declaratively.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// Which sections surround the table.
    pub flavour: Flavour,
    /// Byte order of the ELF structures, the table and the keys.
    pub endian: Endian,
    /// Instruction set.
    pub machine: Machine,
    /// `e_type`.
    pub elf_type: ElfType,
    /// Layout of the entries.
    pub layout: Layout,
    /// How the table is found.
    pub locate: Locate,
    /// How absolute fields are filled.
    pub relocations: Relocations,
    /// Address of the first section; in a module that of its layout, which the
    /// file does not hold.
    pub base: u64,
    /// What only a module has.
    pub module: ModuleSpec,
    /// Release that the banner (in a module, `vermagic`) names.
    pub release: String,
    /// GNU build id; no note without one.
    pub build_id: Option<Vec<u8>>,
    /// DWARF version (4 or 5); no debug sections without one.
    pub dwarf: Option<u16>,
    /// Whether DWARF 5 names addresses of variables by index (`DW_OP_addrx`)
    /// instead of writing them (`DW_OP_addr`).
    pub addrx: bool,
    /// Keys, in the order in which they get addresses.
    pub keys: Vec<KeySpec>,
    /// Functions, in the order in which they get addresses.
    pub functions: Vec<FunctionSpec>,
    /// Sites, in table order.
    pub sites: Vec<SiteSpec>,
    /// Rooms for what only the caller can make, in `.rodata`.
    pub rooms: Vec<RoomSpec>,
}

impl ImageSpec {
    /// An empty kernel image: little-endian `ET_DYN`, self-relative entries
    /// between symbols, build id and DWARF 5.
    #[must_use]
    pub fn kernel() -> Self {
        Self {
            flavour: Flavour::Kernel,
            endian: Endian::Little,
            machine: Machine::Aarch64,
            elf_type: ElfType::Dyn,
            layout: Layout::Relative,
            locate: Locate::Symbols,
            relocations: Relocations::None,
            base: 0xffff_8000_8000_0000,
            module: ModuleSpec::default(),
            release: "6.12.0-jlctl-demo".to_owned(),
            build_id: Some((1..=20).collect()),
            dwarf: Some(5),
            addrx: false,
            keys: Vec::new(),
            functions: Vec::new(),
            sites: Vec::new(),
            rooms: Vec::new(),
        }
    }

    /// An empty statically linked user program: `ET_EXEC`, absolute entries in
    /// a section `__jump_table`.
    #[must_use]
    pub fn user_exec() -> Self {
        Self {
            flavour: Flavour::User,
            elf_type: ElfType::Exec,
            layout: Layout::Absolute,
            locate: Locate::Section,
            base: 0x40_0000,
            ..Self::kernel()
        }
    }

    /// An empty position-independent user program whose absolute entries need
    /// `relocations`.
    #[must_use]
    pub fn user_pie(relocations: Relocations) -> Self {
        Self { elf_type: ElfType::Dyn, base: 0x1_0000, relocations, ..Self::user_exec() }
    }

    /// An empty module: `ET_REL`, self-relative entries of zero bytes in
    /// `__jump_table`, relocations for them; no debug information.
    #[must_use]
    pub fn module(name: &str) -> Self {
        Self {
            flavour: Flavour::Module,
            elf_type: ElfType::Rel,
            locate: Locate::Section,
            base: 0x10_0000,
            module: ModuleSpec {
                name: name.to_owned(),
                data_address: 0x2a8,
                ..ModuleSpec::default()
            },
            dwarf: None,
            ..Self::kernel()
        }
    }

    /// Puts the image on another machine; a kernel moves to the address and the
    /// file type that it has there.
    #[must_use]
    pub fn on(mut self, machine: Machine) -> Self {
        self.machine = machine;
        if self.flavour == Flavour::Kernel {
            (self.base, self.elf_type) = machine.kernel();
        }
        self
    }

    /// Adds a symbol that the module uses and another image defines.
    #[must_use]
    pub fn undefined(mut self, name: &str) -> Self {
        self.module.undefined.push(name.to_owned());
        self
    }

    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: KeySpec) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds a function.
    #[must_use]
    pub fn function(mut self, function: FunctionSpec) -> Self {
        self.functions.push(function);
        self
    }

    /// Adds a site and its table entry.
    #[must_use]
    pub fn site(mut self, site: SiteSpec) -> Self {
        self.sites.push(site);
        self
    }

    /// Adds a room of `size` bytes for [`Linked::furnish`].
    #[must_use]
    pub fn room(mut self, name: &str, size: u64) -> Self {
        self.rooms.push(RoomSpec { name: name.to_owned(), size });
        self
    }

    /// Gives everything an address and bytes.
    ///
    /// # Panics
    /// If the declaration contradicts itself, for example if a site names a
    /// symbol that does not exist or holds a branch that cannot be encoded.
    #[must_use]
    pub fn link(&self) -> Linked {
        crate::link::link(self)
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
