//! What a strategy comes to.

use crate::simulate::explore::Incomplete;

/// What it means that the call has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Any moment afterwards.
    RealTime,
    /// For a PE that has learnt it through memory.
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

/// What a strategy comes to, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// No PE executes an old word after the return.
    Safe,
    /// Not everything was looked at.
    Unknown,
    /// Words change while they are executed that may not: CONSTRAINED UNPREDICTABLE.
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

/// What was found out about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Read in real time.
    pub real_time: Safety,
    /// Read causally.
    pub causal: Safety,
    /// The words, old and new, that may not be modified and are.
    pub unpredictable: Option<(u32, u32)>,
    /// Why not everything was looked at.
    pub incomplete: Option<Incomplete>,
    /// States visited, for both readings.
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

    /// The worse of both.
    #[must_use]
    pub fn worst(&self) -> Safety {
        self.real_time.max(self.causal)
    }
}
