//! The parts that only a module or object file has: a module's sections, and relocations instead
//! of addresses.

use super::dynamic::put;
use super::insn::Form;
use jlctl_synthetic::elf::{Elf, Relocation, Section, Symbol, SymbolRef, SymbolSection, consts};
use jlctl_synthetic::link::{
    MODINFO, Pool, THIS_MODULE, THIS_MODULE_NAME, modinfo, module_sections,
};
use jlctl_synthetic::spec::ImageSpec;

pub(super) fn add_sections(pool: &mut Pool, name: &str) {
    module_sections(pool, &ImageSpec::module(name));
}

pub(super) fn fill(elf: &mut Elf, name: &str) {
    put(elf, MODINFO, &modinfo(&ImageSpec::module(name)));
    let this = elf.section(THIS_MODULE).expect("a module has it").address;
    assert!(elf.poke(this + THIS_MODULE_NAME, name.as_bytes()), "the name has room");
}

/// The relocations for the module loader: location, kind and address in the layout.
#[derive(Debug, Default)]
pub(super) struct Unlinked(Vec<(u64, consts::RelocationType, u64)>);

impl Unlinked {
    /// An instruction at `at` that refers to `to`.
    pub(super) fn code(&mut self, at: u64, (form, word): (Form, u32), to: u64) {
        let kind = match form {
            Form::Imm26 if word >> 31 == 1 => consts::R_AARCH64_CALL26,
            Form::Imm26 => consts::R_AARCH64_JUMP26,
            Form::Imm19 if word >> 24 & 0x3f == 0x18 => consts::R_AARCH64_LD_PREL_LO19,
            Form::Imm19 => consts::R_AARCH64_CONDBR19,
            Form::Imm14 => consts::R_AARCH64_TSTBR14,
            Form::Page => consts::R_AARCH64_ADR_PREL_PG_HI21,
            Form::Near => consts::R_AARCH64_ADR_PREL_LO21,
            Form::Low12 => consts::R_AARCH64_ADD_ABS_LO12_NC,
            Form::Low12Word => consts::R_AARCH64_LDST32_ABS_LO12_NC,
            Form::GotPage => consts::R_AARCH64_ADR_GOT_PAGE,
            Form::GotLow12 => consts::R_AARCH64_LD64_GOT_LO12_NC,
        };
        self.0.push((at, kind, to));
    }

    /// A pointer at `at`.
    pub(super) fn pointer(&mut self, at: u64, to: u64) {
        self.0.push((at, consts::R_AARCH64_ABS64, to));
    }

    /// Moves all sections to address 0 and adds the relocations.
    pub(super) fn take_apart(self, elf: &mut Elf) {
        let mut lists: Vec<(String, Vec<Relocation>)> = Vec::new();
        for (at, kind, to) in self.0 {
            let section = elf.sections.iter().find(|section| section.contains(at));
            let section = section.expect("a relocated field is in a section");
            let (symbol, addend) = symbol(elf, to);
            let symbol = SymbolRef::Position(symbol);
            let relocation =
                Relocation { offset: at - section.address, kind: kind.0, symbol, addend };
            match lists.iter_mut().find(|(name, _)| *name == section.name) {
                Some((_, list)) => list.push(relocation),
                None => lists.push((section.name.clone(), vec![relocation])),
            }
        }
        for symbol in &mut elf.symbols {
            match &symbol.section {
                SymbolSection::Undefined => symbol.value = 0,
                SymbolSection::Absolute => {}
                SymbolSection::In(name) => {
                    let section = elf.sections.iter().find(|section| section.name == *name);
                    symbol.value -= section.map_or(0, |section| section.address);
                }
            }
        }
        elf.sections.iter_mut().for_each(|section| section.address = 0);
        for (of, list) in lists {
            let at = elf.sections.iter().position(|section| section.name == of);
            elf.sections.insert(at.map_or(0, |at| at + 1), Section::rela(&of, list));
        }
    }
}

/// The symbol and addend by which assemblers name `address`: a global symbol there, or
/// else the section.
fn symbol(elf: &Elf, address: u64) -> (usize, i64) {
    let is_global = |s: &Symbol| s.bind == consts::STB_GLOBAL && s.value == address;
    if let Some(found) = elf.symbols.iter().position(is_global) {
        return (found, 0);
    }
    let section = elf.sections.iter().find(|s| s.contains(address) || s.end() == address);
    let section = section.expect("every address of the layout is in a section");
    let defined_in = SymbolSection::In(section.name.clone());
    let is_section = |s: &Symbol| s.kind == consts::STT_SECTION && s.section == defined_in;
    let found = elf.symbols.iter().position(is_section).expect("sections have symbols");
    (found, (address - section.address).cast_signed())
}
