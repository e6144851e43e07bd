//! Sections that lie elsewhere in a linked program, and the symbols in them.

use super::error::{Why, damaged};
use super::program::{ElfProgram, slice};
use super::record::{
    DT_STRTAB, SHT_DYNAMIC, SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, ST_SHNDX, ST_VALUE, SYMBOL_LEN,
    Section, u16_at, u64_at,
};
use super::room::Span;
use super::tail::At;
use super::undo::FileEdit;

/// The new place of each section that has one, by its index.
#[derive(Debug)]
pub(super) struct Moves(Vec<Option<At>>);

impl Moves {
    /// Which sections lie where now.
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
            let is_it = Some(section.address) == old_strings && section.kind == SHT_STRTAB;
            strings.filter(|_| is_it)
        };
        for (index, section) in program.sections.iter().enumerate() {
            if !section.is_allocated() {
                continue;
            }
            if let Some(strings) = strings_of(section) {
                moves.set(index, strings);
            } else if let (SHT_DYNAMIC, Some(at)) = (section.kind, dynamic) {
                moves.set(index, at);
            } else if span.holds_offset(section.offset) {
                let within = section.offset - span.start;
                let (offset, address) = (moved.offset + within, moved.address + within);
                moves.set(index, At { offset, address, size: section.size });
            }
        }
        moves
    }

    /// Notes that the section at an index lies at `at` now.
    fn set(&mut self, index: usize, at: At) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(at);
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<At> {
        self.0.get(index).copied().flatten()
    }

    /// The symbols whose sections moved, with their new values.
    pub(super) fn symbols(&self, program: &ElfProgram<'_>) -> Result<Vec<FileEdit>, Why> {
        let mut edits = Vec::new();
        let tables = program.sections.iter();
        for table in tables.filter(|table| matches!(table.kind, SHT_SYMTAB | SHT_DYNSYM)) {
            let Some(bytes) = slice(program.bytes, table.offset, table.size) else {
                return Err(damaged("symbol table", "not within the file"));
            };
            let symbols = bytes.chunks_exact(SYMBOL_LEN).enumerate();
            edits.extend(symbols.filter_map(|(index, symbol)| {
                let section = usize::from(u16_at(symbol, ST_SHNDX)?);
                let to = self.get(section)?;
                let within = u64_at(symbol, ST_VALUE)?
                    .checked_sub(program.sections.get(section)?.address)?;
                let bytes = to.address.checked_add(within)?.to_le_bytes().to_vec();
                Some(FileEdit {
                    offset: table.offset + (index * SYMBOL_LEN + ST_VALUE) as u64,
                    bytes,
                })
            }));
        }
        Ok(edits)
    }
}
