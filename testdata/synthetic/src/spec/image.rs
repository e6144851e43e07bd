//! The whole image.

use super::format::{ElfType, Flavour, Layout, Locate, Machine, Relocations};
use super::function::FunctionSpec;
use super::key::KeySpec;
use super::site::SiteSpec;
use crate::elf::Endian;

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
    /// The parts that only a module has.
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
    /// Space in `.rodata` for bytes that the caller makes.
    pub reserved: Vec<ReservedSpec>,
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
            reserved: Vec::new(),
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

    /// Reserves `size` bytes for [`crate::link::Linked::write_reserved`].
    #[must_use]
    pub fn reserve(mut self, name: &str, size: u64) -> Self {
        self.reserved.push(ReservedSpec { name: name.to_owned(), size });
        self
    }
}

/// The parts that a module has in addition to keys, functions and sites.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleSpec {
    /// Name, as `.modinfo` and `.gnu.linkonce.this_module` state it.
    pub name: String,
    /// Symbols that the module uses and another image defines.
    pub undefined: Vec<String>,
    /// RISC-V: 32-bit fields by one `R_RISCV_32_PCREL` each, as newer assemblers
    /// write them, instead of `R_RISCV_ADD32` and `R_RISCV_SUB32`.
    pub pcrel32: bool,
    /// RISC-V: an `R_RISCV_RELAX` with each `R_RISCV_JAL`, as in a module that was built
    /// without `-mno-relax`.
    pub relax: bool,
    /// `sh_addr` of `.data`: 0 in the modules of Debian's 5.10, another value in
    /// those of its 6.12.  Symbol values and relocation offsets count from the
    /// section's start in both.
    pub data_address: u64,
}

/// Zero bytes in `.rodata`, 8-byte aligned, to be replaced once the image has addresses: the
/// kernel's kallsyms tables, for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservedSpec {
    /// Name of its symbol.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}
