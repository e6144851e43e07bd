//! The relocations of a module's table and sites, as assemblers write them for
//! `.long code - .; .long target - .; .quad key + branch - .`.

use super::extent::Location;
use super::fill;
use crate::dwarf::{Fixup, FixupTarget};
use crate::elf::{self, Relocation, Symbol, SymbolRef, consts};
use crate::entry::Entry;
use crate::spec::{AddressExpr, ImageSpec, Layout, Machine};

/// Name of the label that an assembler makes for `.` on RISC-V.
const HERE: &str = ".L0 ";

/// ModuleCollects relocations while symbols still have the layout's addresses.
pub(super) struct ModuleRelocations<'a, F> {
    spec: &'a ImageSpec,
    symbols: &'a mut Vec<Symbol>,
    locate: F,
    lists: Vec<(String, Vec<Relocation>)>,
}

/// The relocation whose value is an address, in a field of 8 or 4 bytes.
pub(super) fn absolute(machine: Machine, size: u8) -> consts::RelocationType {
    match (machine, size == 8) {
        (Machine::Aarch64, true) => consts::R_AARCH64_ABS64,
        (Machine::Aarch64, false) => consts::R_AARCH64_ABS32,
        (Machine::X86_64, true) => consts::R_X86_64_64,
        (Machine::X86_64, false) => consts::R_X86_64_32,
        (Machine::Riscv64, true) => consts::R_RISCV_64,
        (Machine::Riscv64, false) => consts::R_RISCV_32,
    }
}

/// A symbol and an addend.
type Target = (SymbolRef, i64);

impl<'a, F: Fn(u64) -> Option<Location>> ModuleRelocations<'a, F> {
    pub(super) fn new(spec: &'a ImageSpec, symbols: &'a mut Vec<Symbol>, locate: F) -> Self {
        Self { spec, symbols, locate, lists: Vec::new() }
    }

    /// The relocations by the section that they are for.
    pub(super) fn into_lists(self) -> Vec<(String, Vec<Relocation>)> {
        self.lists
    }

    /// The three fields of the entry at `at`, whose key is named `key`.
    pub(super) fn entry(&mut self, at: u64, key: &AddressExpr, entry: &Entry) {
        let (code, target) = (self.code(entry.code), self.code(entry.target));
        let key = self.key(key, entry);
        let (short, long) = match self.spec.layout {
            Layout::Relative => (4, 8),
            Layout::Absolute => (8, 16),
        };
        self.field(at, short, code);
        self.field(at + short, short, target);
        self.field(at + long, 8, key);
    }

    /// The jump at `from`.
    pub(super) fn jump(&mut self, from: u64, to: u64) {
        let (symbol, addend) = self.code(to);
        match self.spec.machine {
            Machine::Aarch64 => self.push(from, consts::R_AARCH64_JUMP26, (symbol, addend)),
            // The displacement counts from the end of the field.
            Machine::X86_64 => self.push(from + 1, consts::R_X86_64_PLT32, (symbol, addend - 4)),
            Machine::Riscv64 => {
                self.push(from, consts::R_RISCV_JAL, (symbol, addend));
                if self.spec.module.relax {
                    self.push(from, consts::R_RISCV_RELAX, (SymbolRef::Number(0), 0));
                }
            }
        }
    }

    /// The relocation without effect that objtool leaves at a NOP of x86_64.
    pub(super) fn former_jump(&mut self, from: u64, to: u64) {
        let (symbol, addend) = self.code(to);
        self.push(from + 1, consts::R_X86_64_NONE, (symbol, addend - 4));
    }

    /// The pointer at `at` to the string at `to`.
    pub(super) fn pointer(&mut self, at: u64, to: u64) {
        let target = self.by_section(to);
        self.push(at, absolute(self.spec.machine, 8), target);
    }

    /// A fixup in the debug section `of`.
    pub(super) fn fixup(&mut self, of: &str, fixup: &Fixup) {
        let (symbol, addend) = match &fixup.target {
            FixupTarget::Address => self.by_object(fixup.value),
            FixupTarget::Section(name) => {
                let section = elf::SymbolSection::In(name.clone());
                let is_section = |s: &Symbol| s.kind == consts::STT_SECTION && s.section == section;
                let found = self.symbols.iter().position(is_section).expect("it has a symbol");
                (SymbolRef::Position(found), fixup.value.cast_signed())
            }
        };
        let kind = absolute(self.spec.machine, fixup.size).0;
        self.add(of, Relocation { offset: fixup.offset, kind, symbol, addend });
    }

    fn field(&mut self, at: u64, size: u64, target: Target) {
        let wide = size == 8;
        match (self.spec.machine, self.spec.layout) {
            (machine, Layout::Absolute) => self.push(at, absolute(machine, 8), target),
            (Machine::Aarch64, _) if wide => self.push(at, consts::R_AARCH64_PREL64, target),
            (Machine::Aarch64, _) => self.push(at, consts::R_AARCH64_PREL32, target),
            (Machine::X86_64, _) if wide => self.push(at, consts::R_X86_64_PC64, target),
            (Machine::X86_64, _) => self.push(at, consts::R_X86_64_PC32, target),
            (Machine::Riscv64, _) if !wide && self.spec.module.pcrel32 => {
                self.push(at, consts::R_RISCV_32_PCREL, target);
            }
            (Machine::Riscv64, _) => {
                let here = (self.label(HERE, at), 0);
                let (add, sub) = match wide {
                    true => (consts::R_RISCV_ADD64, consts::R_RISCV_SUB64),
                    false => (consts::R_RISCV_ADD32, consts::R_RISCV_SUB32),
                };
                self.push(at, add, target);
                self.push(at, sub, here);
            }
        }
    }

    fn push(&mut self, at: u64, kind: consts::RelocationType, (symbol, addend): Target) {
        let Some(Location::Section { name, offset }) = (self.locate)(at) else {
            panic!("nothing to relocate at {at:#x}");
        };
        self.add(&name, Relocation { offset, kind: kind.0, symbol, addend });
    }

    fn add(&mut self, of: &str, relocation: Relocation) {
        match self.lists.iter_mut().find(|(section, _)| section == of) {
            Some((_, list)) => list.push(relocation),
            None => self.lists.push((of.to_owned(), vec![relocation])),
        }
    }

    /// A code address: relative to its section; on RISC-V a label.
    fn code(&mut self, address: u64) -> Target {
        if self.spec.machine == Machine::Riscv64 && (self.locate)(address).is_some() {
            let label = format!(".L{}", address % 10_000 + 1);
            return (self.label(&label, address), 0);
        }
        self.by_section(address)
    }

    /// The key of `entry`: by its symbol if that is global, or of another
    /// image, or on RISC-V; else by its section.  Flags are part of the addend.
    fn key(&mut self, key: &AddressExpr, entry: &Entry) -> Target {
        let flags = (fill::key_word(entry) - entry.key).cast_signed();
        let (symbol, addend) = match key {
            AddressExpr::Symbol { name, offset, .. } => {
                let value = entry.key.wrapping_add_signed(-offset);
                let found = self.symbols.iter().position(|symbol| {
                    let by_name =
                        symbol.bind == consts::STB_GLOBAL || self.spec.machine == Machine::Riscv64;
                    by_name && symbol.name == *name && symbol.value == value
                });
                match found {
                    Some(position) => (SymbolRef::Position(position), *offset),
                    None => self.by_section(entry.key),
                }
            }
            AddressExpr::Address(address) => self.by_section(*address),
        };
        (symbol, addend + flags)
    }

    /// The global object at `address`, or its section.
    fn by_object(&self, address: u64) -> Target {
        let is_object = |symbol: &Symbol| {
            let named = (symbol.bind, symbol.kind) == (consts::STB_GLOBAL, consts::STT_OBJECT);
            named && symbol.value == address
        };
        match self.symbols.iter().position(is_object) {
            Some(position) => (SymbolRef::Position(position), 0),
            None => self.by_section(address),
        }
    }

    fn by_section(&self, address: u64) -> Target {
        let find = |wanted: &dyn Fn(&Symbol) -> bool| {
            let found = self.symbols.iter().position(wanted).expect("each part has a symbol");
            SymbolRef::Position(found)
        };
        match (self.locate)(address) {
            Some(Location::Section { name, offset }) => {
                let section = elf::SymbolSection::In(name);
                let is_section = |s: &Symbol| s.kind == consts::STT_SECTION && s.section == section;
                (find(&is_section), offset.cast_signed())
            }
            Some(Location::Undefined { name, offset }) => {
                let is_undefined =
                    |s: &Symbol| s.name == name && s.section == elf::SymbolSection::Undefined;
                (find(&is_undefined), offset.cast_signed())
            }
            None => (SymbolRef::Number(0), address.cast_signed()),
        }
    }

    /// A new label, or the one of this name at `address`.
    fn label(&mut self, name: &str, address: u64) -> SymbolRef {
        let same = |symbol: &Symbol| symbol.name == name && symbol.value == address;
        if let Some(position) = self.symbols.iter().position(same) {
            return SymbolRef::Position(position);
        }
        let section = match (self.locate)(address) {
            Some(Location::Section { name, .. }) => elf::SymbolSection::In(name),
            _ => return self.by_section(address).0,
        };
        self.symbols.push(Symbol {
            name: name.to_owned(),
            value: address,
            size: 0,
            bind: consts::STB_LOCAL,
            kind: consts::STT_NOTYPE,
            section,
        });
        SymbolRef::Position(self.symbols.len() - 1)
    }
}
