//! What can happen, and what is told of it.

use crate::simulate::insn::ContextSync;

/// Something that happens on its own time; what a state allows is explored one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A PE goes on fetching there, before its branch is decided.
    Predict { pe: u8, to: u16 },
    /// A PE takes a condition for true or false before its flags are known.
    Guess { pe: u8, at: u8, holds: bool },
    /// A PE fetches the given write of the site that it has come to.
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

/// What happened, for a trace; places and locations are the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A site was fetched, with that write of those that it could be, a bit for each.
    Fetched { pc: u16, write: u8, choice: u64 },
    /// A site was executed with the word of that write.
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
    /// A context synchronising event, or what should have been one.
    Synchronised { how: ContextSync },
    /// The call returned.
    Returned,
    /// A PE goes on after the call returned.
    Observed,
}

/// Why an execution is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A prediction was wrong, or something happened too early: another execution has
    /// it right.
    Pruned,
    /// A store goes to an instruction that was taken for one that never changes.
    Writes(u16),
    /// More instructions or writes than the model has room for.
    Bound,
    /// An access to no location.
    Nowhere(u16),
}
