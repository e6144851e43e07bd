//! Sections that move in a linked program, and the symbols in them.

use super::error::{Why, damaged};
use super::program::{ElfProgram, is_allocated};
use super::record::{LE, Section, Symbol, all_records};
use super::room::Span;
use super::tail::At;
use super::undo::FileEdit;
use object::elf::{DT_STRTAB, SHT_DYNAMIC, SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB};
use std::mem::offset_of;

/// The new location of each section that moves, by index.
#[derive(Debug)]
pub(super) struct Moves(Vec<Option<At>>);

impl Moves {
    /// Collects the sections that move.
    pub(super) fn of(
        program: &ElfProgram<'_>,
        span: &Span,
        moved: At,
        strings: Option<At>,
        dynamic: Option<At>,
    ) -> Self {
        let mut moves = Self(vec![None; program.sections.len()]);
        let old_strings = program.dynamic_value(DT_STRTAB);
        let strings_of = |section: &Section| {
            let is_it = Some(section.sh_addr.get(LE)) == old_strings
                && section.sh_type.get(LE) == SHT_STRTAB;
            strings.filter(|_| is_it)
        };
        for (index, section) in program.sections.iter().enumerate() {
            if !is_allocated(section) {
                continue;
            }
            if let Some(strings) = strings_of(section) {
                moves.set(index, strings);
            } else if let (SHT_DYNAMIC, Some(at)) = (section.sh_type.get(LE), dynamic) {
                moves.set(index, at);
            } else if span.holds_offset(section.sh_offset.get(LE)) {
                let within = section.sh_offset.get(LE) - span.start;
                let (offset, address) = (moved.offset + within, moved.address + within);
                moves.set(index, At { offset, address, size: section.sh_size.get(LE) });
            }
        }
        moves
    }

    /// Records that the section at an index moves to `at`.
    fn set(&mut self, index: usize, at: At) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(at);
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<At> {
        self.0.get(index).copied().flatten()
    }

    /// The symbols in sections that move, with their new values.
    pub(super) fn symbols(&self, program: &ElfProgram<'_>) -> Result<Vec<FileEdit>, Why> {
        let mut edits = Vec::new();
        let is_table =
            |section: &&Section| matches!(section.sh_type.get(LE), SHT_SYMTAB | SHT_DYNSYM);
        for table in program.sections.iter().filter(is_table) {
            let Some(bytes) = program.section_bytes(table) else {
                return Err(damaged("symbol table", "not within the file"));
            };
            let symbols = all_records::<Symbol>(bytes).iter().enumerate();
            edits.extend(symbols.filter_map(|(index, symbol)| {
                let section = usize::from(symbol.st_shndx.get(LE).0);
                let to = self.get(section)?;
                let start = program.sections.get(section)?.sh_addr.get(LE);
                let within = symbol.st_value.get(LE).checked_sub(start)?;
                let bytes = to.address.checked_add(within)?.to_le_bytes().to_vec();
                let value = index * size_of::<Symbol>() + offset_of!(Symbol, st_value);
                Some(FileEdit { offset: table.sh_offset.get(LE) + value as u64, bytes })
            }));
        }
        Ok(edits)
    }
}
