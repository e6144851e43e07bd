//! A state of the machine, and its fingerprint.

use crate::simulate::insn::{Insn, Kind, REGS};

/// A location or position that is not known yet.
pub(super) const NONE: u16 = u16::MAX;
/// An address that is no location of the program.
pub(super) const NOWHERE: u16 = u16::MAX - 1;

/// A location that can change: all writes that have propagated, the oldest first, and which of them
/// memory has (the point of unification). Younger writes are in the data caches alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Values in the order of propagation; the first is the initial value.
    pub(crate) writes: Vec<u64>,
    /// Index of the youngest write that memory has.
    pub(crate) unified: u8,
}

/// The write that a load reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadedFrom {
    /// Not satisfied yet.
    Nowhere,
    /// A write to the location, by index.
    Write(u8),
    /// A store of the same PE that has not propagated, by sequence number.
    Store(u16),
}

/// The guess about a CSEL whose flags are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// No guess.
    None,
    /// The condition holds, or does not hold.
    Is(bool),
}

/// An instruction in a PE's window.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowEntry {
    pub(super) insn: Insn,
    pub(super) kind: Kind,
    /// Position in the program.
    pub(super) pc: u16,
    /// Sequence number since the start.
    pub(super) seq: u16,
    /// Position of the next fetch; [`NONE`] before it.
    pub(super) next: u16,
    /// The accessed location; [`NONE`] while it is unknown, [`NOWHERE`] if the address is no
    /// location.
    pub(super) loc: u16,
    /// Index of the write that was fetched, for a site.
    pub(super) fetched: u8,
    /// The PEs that an IC has not reached yet, one bit each.
    pub(super) pending: u8,
    /// Whether the IC has begun.
    pub(super) begun: bool,
    /// Whether the instruction has happened: was satisfied, has propagated, was performed, is
    /// decided.
    pub(super) done: bool,
    /// The value for its register, or for memory, once `ready`.
    pub(super) value: u64,
    pub(super) ready: bool,
    pub(super) source: LoadedFrom,
    pub(super) guess: Guess,
    /// Whether its operands depend on a guess.
    pub(super) guessed: bool,
    /// Whether its address depends on a guess.
    pub(super) address_guessed: bool,
}

/// Where a PE fetches next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At this position.
    At(u16),
    /// At the target of its last branch, which is not known yet.
    Unknown,
}

/// A PE.
#[derive(Debug, Clone)]
pub(super) struct Pe {
    pub(super) window: Vec<WindowEntry>,
    pub(super) next: Next,
    pub(super) seq: u16,
    /// Whether the PE has observed that the call returned.
    pub(super) observed: bool,
    pub(super) regs: [u64; REGS],
    /// For each cell that is code, the writes that the instruction cache can supply, one bit each.
    pub(super) icache: Vec<u64>,
}

/// A state.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(super) pes: Vec<Pe>,
    pub(super) cells: Vec<Cell>,
    /// Whether the call has returned.
    pub(super) returned: bool,
    /// Whether a stale word was executed.
    pub(super) stale: bool,
    /// Whether a CONSTRAINED UNPREDICTABLE event happened.
    pub(super) unpredictable: bool,
}

impl State {
    /// Whether a stale word was executed.
    #[must_use]
    pub(crate) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether a CONSTRAINED UNPREDICTABLE event happened.
    #[must_use]
    pub(crate) const fn is_unpredictable(&self) -> bool {
        self.unpredictable
    }

    /// A register of a PE with an empty window.
    #[must_use]
    pub(crate) fn register(&self, pe: usize, reg: u8) -> u64 {
        self.pes.get(pe).and_then(|pe| pe.regs.get(usize::from(reg))).copied().unwrap_or(0)
    }

    /// A fingerprint of 128 bits. The visited set holds fingerprints, not states: among 2^24
    /// states, two different ones have the same fingerprint with a probability below 2^-80.
    pub(super) fn fingerprint(&self, buffer: &mut Vec<u8>, code_cells: usize) -> u128 {
        buffer.clear();
        buffer.push(
            u8::from(self.returned) | u8::from(self.stale) << 1 | u8::from(self.unpredictable) << 2,
        );
        for (at, cell) in self.cells.iter().enumerate() {
            let len = cell.writes.len();
            buffer.extend([len.to_le_bytes()[0], cell.unified]);
            // Only the newest write of a datum can still be read.
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
