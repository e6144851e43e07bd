//! A state of the machine, and what it is told apart by.

use crate::simulate::insn::{Insn, Kind, REGS};

/// No place: where something is not known yet.
pub(super) const NONE: u16 = u16::MAX;
/// The address is no location of the program.
pub(super) const NOWHERE: u16 = u16::MAX - 1;

/// What a location holds that can change: all writes that have propagated, the oldest
/// first, and which of them memory has (the point of unification); the younger ones are
/// in the data caches alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Values by the order in which they propagated; the first is the initial one.
    pub(crate) writes: Vec<u64>,
    /// Which of them memory has.
    pub(crate) unified: u8,
}

/// Where a load got its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadedFrom {
    /// Nowhere yet.
    Nowhere,
    /// The write of that number to its location.
    Write(u8),
    /// A store of its own PE that has not propagated, by sequence number.
    Store(u16),
}

/// What is thought of a CSEL whose flags are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// Nothing.
    None,
    /// That its condition holds, or not.
    Is(bool),
}

/// An instruction in a PE's window.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowEntry {
    pub(super) insn: Insn,
    pub(super) kind: Kind,
    /// Its place.
    pub(super) pc: u16,
    /// Its number since the start.
    pub(super) seq: u16,
    /// Where fetching went on: [`NONE`] if it has not.
    pub(super) next: u16,
    /// Location accessed: [`NONE`] if not known yet, [`NOWHERE`] if there is none.
    pub(super) loc: u16,
    /// Which write was fetched, of a site.
    pub(super) fetched: u8,
    /// PEs that an IC that has begun has not reached, one bit each.
    pub(super) pending: u8,
    /// An IC that has begun.
    pub(super) begun: bool,
    /// It has happened: loaded, propagated, performed, committed, branched.
    pub(super) done: bool,
    /// What it writes to its register, or to memory, once `ready`.
    pub(super) value: u64,
    pub(super) ready: bool,
    pub(super) source: LoadedFrom,
    pub(super) guess: Guess,
    /// Its operands rest on a guess.
    pub(super) guessed: bool,
    /// Its address rests on a guess.
    pub(super) address_guessed: bool,
}

/// Where a PE fetches next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There.
    At(u16),
    /// Where its last branch goes, which is not known.
    Unknown,
}

/// A PE.
#[derive(Debug, Clone)]
pub(super) struct Pe {
    pub(super) window: Vec<WindowEntry>,
    pub(super) next: Next,
    pub(super) seq: u16,
    /// It has learnt that the call returned.
    pub(super) observed: bool,
    pub(super) regs: [u64; REGS],
    /// What its instruction cache can give for each cell that is code, a bit for each
    /// write.
    pub(super) icache: Vec<u64>,
}

/// A state.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(super) pes: Vec<Pe>,
    pub(super) cells: Vec<Cell>,
    /// The call has returned.
    pub(super) returned: bool,
    /// A word was executed that should have been gone.
    pub(super) stale: bool,
    /// Something happened that the architecture leaves open.
    pub(super) unpredictable: bool,
}

impl State {
    /// Whether a word was executed that should have been gone.
    #[must_use]
    pub(crate) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether something happened that is CONSTRAINED UNPREDICTABLE.
    #[must_use]
    pub(crate) const fn is_unpredictable(&self) -> bool {
        self.unpredictable
    }

    /// A register of a PE with an empty window.
    #[must_use]
    pub(crate) fn register(&self, pe: usize, reg: u8) -> u64 {
        self.pes.get(pe).and_then(|pe| pe.regs.get(usize::from(reg))).copied().unwrap_or(0)
    }

    /// 128 bits by which states are told apart: with 2^24 states two different ones
    /// are taken for one with a probability below 2^-80.
    pub(super) fn fingerprint(&self, buffer: &mut Vec<u8>, code_cells: usize) -> u128 {
        buffer.clear();
        buffer.push(
            u8::from(self.returned) | u8::from(self.stale) << 1 | u8::from(self.unpredictable) << 2,
        );
        for (at, cell) in self.cells.iter().enumerate() {
            let len = cell.writes.len();
            buffer.extend([len.to_le_bytes()[0], cell.unified]);
            // Of data the newest write alone can still be read.
            let from = if at < code_cells { 0 } else { len.saturating_sub(1) };
            for write in cell.writes.iter().skip(from) {
                buffer.extend(write.to_le_bytes());
            }
        }
        for pe in &self.pes {
            pe.write(buffer);
        }
        twox_hash::XxHash3_128::oneshot(buffer)
    }
}

impl Pe {
    fn write(&self, buffer: &mut Vec<u8>) {
        for (at, reg) in self.regs.iter().enumerate() {
            if *reg != 0 {
                buffer.push(at.to_le_bytes()[0]);
                buffer.extend(reg.to_le_bytes());
            }
        }
        for mask in &self.icache {
            buffer.extend(mask.to_le_bytes());
        }
        let next = match self.next {
            Next::At(at) => at,
            Next::Unknown => NONE,
        };
        buffer.extend(next.to_le_bytes());
        buffer.push(u8::from(self.observed));
        buffer.push(self.window.len().to_le_bytes()[0]);
        let first = self.window.first().map_or(0, |entry| entry.seq);
        for entry in &self.window {
            let (source, from) = match entry.source {
                LoadedFrom::Nowhere => (0, 0),
                LoadedFrom::Write(at) => (1, u16::from(at)),
                LoadedFrom::Store(seq) => (2, seq.wrapping_sub(first)),
            };
            let guess = match entry.guess {
                Guess::None => 0,
                Guess::Is(is) => 1 + u8::from(is),
            };
            let flags =
                u8::from(entry.done) | u8::from(entry.ready) << 1 | u8::from(entry.begun) << 2;
            buffer.extend(entry.pc.to_le_bytes());
            buffer.extend(entry.next.to_le_bytes());
            buffer.extend(from.to_le_bytes());
            buffer.extend([entry.fetched, entry.pending, flags, source << 4 | guess]);
            if entry.ready {
                buffer.extend(entry.value.to_le_bytes());
            }
        }
    }
}
