//! The steps of the machine, and the events of a trace.

use crate::simulate::insn::ContextSync;

/// A step that is not internal; the steps that a state allows are explored one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A PE continues fetching at a predicted target.
    Predict { pe: u8, to: u16 },
    /// A PE guesses a condition before its flags are known.
    Guess { pe: u8, at: u8, holds: bool },
    /// A PE fetches one of the writes of the next site.
    Fetch { pe: u8, write: u8 },
    /// A load is satisfied.
    Load { pe: u8, at: u8 },
    /// A store propagates.
    Store { pe: u8, at: u8 },
    /// DC CVAU is performed.
    Dc { pe: u8, at: u8 },
    /// IC begins.
    IcBegin { pe: u8, at: u8 },
    /// IC reaches a PE.
    IcReach { pe: u8, at: u8, to: u8 },
}

/// An event, for a trace. Positions and locations are those of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A site was fetched: the write, and the writes that were possible, one bit each.
    Fetched { pc: u16, write: u8, choice: u64 },
    /// A site was executed, with the word of the given write.
    Executed { pc: u16, write: u8, stale: bool },
    /// A load read a value.
    Loaded { loc: u16, value: u64, forwarded: bool, observes: bool },
    /// A store became visible to all PEs.
    Stored { loc: u16, value: u64 },
    /// A line was cleaned.
    Cleaned { loc: u16 },
    /// An IC began.
    IcBegun { loc: Option<u16> },
    /// An IC reached a PE.
    IcReached { loc: Option<u16>, to: u8 },
    /// A context synchronising event, or a message in its place.
    Synchronised { how: ContextSync },
    /// The call returned.
    Returned,
    /// A PE observed that the call returned.
    Observed,
}

/// Why an execution is not continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A prediction was wrong, or an instruction happened too early; another execution has the
    /// right order.
    Pruned,
    /// A store changes an instruction that was assumed to be constant.
    Writes(u16),
    /// The execution has more instructions or writes than the model holds.
    Bound,
    /// An access to no location, by the position of the instruction.
    Nowhere(u16),
}
