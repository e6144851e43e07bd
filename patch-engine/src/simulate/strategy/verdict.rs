//! The verdict of a strategy.

use crate::simulate::explore::Incomplete;

/// The meaning of "after the call has returned".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Any later moment.
    RealTime,
    /// Any moment after a PE has observed the return through memory.
    Causal,
}

impl Reading {
    /// Both.
    pub const ALL: [Self; 2] = [Self::RealTime, Self::Causal];

    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RealTime => "real-time",
            Self::Causal => "causal",
        }
    }
}

/// The verdict of a strategy, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// No PE executes an old word after the return.
    Safe,
    /// The exploration is incomplete.
    Unknown,
    /// Words that may not be modified concurrently are executed while they change: CONSTRAINED
    /// UNPREDICTABLE.
    Unpredictable,
    /// A PE executes an old word after the return.
    Stale,
}

impl Safety {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unknown => "unknown",
            Self::Unpredictable => "unpredictable",
            Self::Stale => "stale",
        }
    }
}

/// The verdicts of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict in real time.
    pub real_time: Safety,
    /// The causal verdict.
    pub causal: Safety,
    /// The old and new words that may not be modified concurrently, and are.
    pub unpredictable: Option<(u32, u32)>,
    /// Why the exploration is incomplete, if it is.
    pub incomplete: Option<Incomplete>,
    /// Number of states visited, in both readings.
    pub states: u64,
}

impl Judgement {
    /// The verdict in one reading.
    #[must_use]
    pub const fn safety(&self, reading: Reading) -> Safety {
        match reading {
            Reading::RealTime => self.real_time,
            Reading::Causal => self.causal,
        }
    }

    /// The worse of both verdicts.
    #[must_use]
    pub fn worst(&self) -> Safety {
        self.real_time.max(self.causal)
    }
}
