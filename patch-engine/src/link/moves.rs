//! Sections that lie elsewhere in a linked program, and the symbols in them.

use super::error::{Why, damaged};
use super::program::{Program, slice};
use super::record::{SHT_DYNSYM, SHT_SYMTAB, ST_SHNDX, ST_VALUE, SYMBOL_LEN, u16_at, u64_at};
use super::tail::At;
use super::undo::Edit;

/// The new place of each section that has one, by its index.
#[derive(Debug)]
pub(super) struct Moves(Vec<Option<At>>);

impl Moves {
    pub(super) fn new(program: &Program<'_>) -> Self {
        Self(vec![None; program.sections.len()])
    }

    /// Notes that the section at an index lies at `at` now.
    pub(super) fn set(&mut self, index: usize, at: At) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(at);
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<At> {
        self.0.get(index).copied().flatten()
    }

    /// The symbols whose sections moved, with their new values.
    pub(super) fn symbols(&self, program: &Program<'_>) -> Result<Vec<Edit>, Why> {
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
                Some(Edit { offset: table.offset + (index * SYMBOL_LEN + ST_VALUE) as u64, bytes })
            }));
        }
        Ok(edits)
    }
}
