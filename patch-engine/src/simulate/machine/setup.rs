//! The machine for one program: the locations that can change.

use super::state::State;
use crate::simulate::program::{Line, Loc, ModelProgram};
use crate::simulate::rules::{CacheType, RuleSet};

/// A machine for one program.
#[derive(Debug, Clone)]
pub(crate) struct Machine<'a> {
    pub(super) program: &'a ModelProgram,
    pub(super) cache: CacheType,
    pub(super) rules: RuleSet,
    /// Whether an IC reaches all PEs at once.
    pub(super) reduced: bool,
    /// Cell of each location that can change.
    cells: Vec<Option<u8>>,
    /// Location of each cell: first the code that is written, then data.
    pub(super) locs: Vec<Loc>,
    /// Number of cells that are code.
    pub(super) code_cells: usize,
}

/// Most locations that can change.
pub(super) const MAX_CELLS: usize = 64;

impl<'a> Machine<'a> {
    /// A machine that runs `program`, of which the instructions `written` can change; `None` if
    /// more locations can change than the model holds.
    #[must_use]
    pub(crate) fn new(
        program: &'a ModelProgram,
        cache: CacheType,
        rules: RuleSet,
        reduced: bool,
        written: &[u16],
    ) -> Option<Self> {
        let code = program.code.len();
        let data = (code..program.locations.len()).filter_map(|at| u16::try_from(at).ok());
        let locs: Vec<Loc> = written.iter().copied().chain(data).map(Loc).collect();
        if locs.len() > MAX_CELLS || program.pes.len() > 8 {
            return None;
        }
        let mut cells = vec![None; program.locations.len()];
        for (at, loc) in locs.iter().enumerate() {
            *cells.get_mut(usize::from(loc.0))? = u8::try_from(at).ok();
        }
        Some(Self { program, cache, rules, reduced, cells, locs, code_cells: written.len() })
    }

    pub(super) fn cell(&self, loc: u16) -> Option<usize> {
        self.cells.get(usize::from(loc)).copied().flatten().map(usize::from)
    }

    /// Whether an instruction can change.
    pub(super) fn is_written(&self, pc: u16) -> bool {
        self.cell(pc).is_some()
    }

    pub(super) fn line(&self, loc: u16) -> Option<Line> {
        self.program.locations.get(usize::from(loc)).map(|location| location.line)
    }

    /// The end of the program, where a PE stops.
    pub(super) fn end(&self) -> u16 {
        u16::try_from(self.program.code.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The newest value of a location; `None` for an instruction without a known encoding.
    #[must_use]
    pub(crate) fn value(&self, state: &State, loc: Loc) -> Option<u64> {
        match self.cell(loc.0).and_then(|cell| state.cells.get(cell)) {
            Some(cell) => cell.writes.last().copied(),
            None => self.program.locations.get(usize::from(loc.0))?.value,
        }
    }

    /// The fingerprint of `state`.
    pub(crate) fn fingerprint(&self, state: &State, buffer: &mut Vec<u8>) -> u128 {
        state.fingerprint(buffer, self.code_cells)
    }
}
