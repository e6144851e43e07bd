//! The program of a machine: the code of all PEs, the locations, and the initial state.

use super::insn::{Insn, REGS};

/// A location of data or code. Locations are the unit of accesses, since mixed sizes are not
/// modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Loc(pub u16);

/// A cache line, the unit of DC and IC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Line(pub u16);

/// The initial state of a location.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// Name for reports.
    pub(crate) name: String,
    /// Initial value; for code the word, if the model can encode it.
    pub(crate) value: Option<u64>,
    /// Its cache line.
    pub(crate) line: Line,
}

/// The initial state of a PE.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Position of the first instruction.
    pub(crate) pc: u16,
    /// Its registers.
    pub(crate) regs: [u64; REGS],
}

/// A program. The first locations are the instructions, in order; data follow.
#[derive(Debug, Clone)]
pub(crate) struct ModelProgram {
    /// Code of all PEs; each part ends with [`Insn::End`].
    pub(crate) code: Vec<Insn>,
    /// All locations: one for each instruction, then data.
    pub(crate) locations: Vec<Location>,
    /// The PEs.
    pub(crate) pes: Vec<Start>,
    /// Possible targets of indirect branches whose target is not known yet.
    pub(crate) indirect: Vec<u16>,
    /// The sites: instructions whose fetched word has no effect of its own. The exploration looks
    /// for an execution of the first word.
    pub(crate) sites: Vec<u16>,
    /// Instructions by which a PE observes that the call returned.
    pub(crate) observers: Vec<u16>,
}

/// Address of the first instruction.
const CODE_BASE: u64 = 0x0010_0000;
/// Address of the first datum.
const DATA_BASE: u64 = 0x0100_0000;
/// Bytes from one datum to the next.
const DATA_STEP: u64 = 0x100;

impl ModelProgram {
    /// Address of an instruction.
    #[must_use]
    pub(crate) const fn code_address(place: u16) -> u64 {
        CODE_BASE + 4 * place as u64
    }

    /// Position of the instruction at an address.
    #[must_use]
    pub(crate) fn place(&self, address: u64) -> Option<u16> {
        let offset = address.checked_sub(CODE_BASE)?;
        let place = u16::try_from(offset / 4).ok()?;
        (offset % 4 == 0 && usize::from(place) < self.code.len()).then_some(place)
    }

    /// Address of the datum number `index`.
    #[must_use]
    pub(crate) const fn data_address(index: u16) -> u64 {
        DATA_BASE + DATA_STEP * index as u64
    }

    /// The location at an address.
    #[must_use]
    pub(crate) fn location(&self, address: u64) -> Option<Loc> {
        if let Some(place) = self.place(address) {
            return Some(Loc(place));
        }
        let offset = address.checked_sub(DATA_BASE)?;
        let at = self.code.len() + usize::try_from(offset / DATA_STEP).ok()?;
        (offset % DATA_STEP == 0 && at < self.locations.len())
            .then(|| u16::try_from(at).ok())?
            .map(Loc)
    }
}
