//! Strategies judged: whether another PE can execute an old word after the call that
//! patches has returned.

mod names;
mod programs;
mod trace;

pub use names::{Maintenance, Scheme, Strategy};
pub use trace::{Mark, Trace, TraceStep};

use super::explore::{Bounds, Incomplete, Question, explore, shortest};
use super::machine::{CacheType, RuleSet};
use jlctl_shim::insn::aarch64::NOP;
use jlctl_shim::insn::aarch64::is_concurrently_modifiable;
use programs::{Shape, program};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

/// A branch, for all branches: where it goes makes no difference here.
pub const BRANCH: u32 = 0x1400_0001;

/// Fewest and most PEs.
pub const PES: std::ops::RangeInclusive<usize> = 2..=4;

/// Most sites beside one that are explored with it; more behave alike.
pub const MAX_OTHERS: usize = 2;

/// Ops that the model cannot tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class {
    /// The word before.
    pub old: u32,
    /// The word afterwards.
    pub new: u32,
    /// Sites of the batch on the same cache line, beside this one; at most
    /// [`MAX_OTHERS`].
    pub others: usize,
}

impl Class {
    /// The class of an op with `others` sites of its batch on its line.
    #[must_use]
    pub fn new(old: u32, new: u32, others: usize) -> Self {
        // B with any target is one instruction for the model.
        let alike = |word: u32| if word & 0xfc00_0000 == 0x1400_0000 { BRANCH } else { word };
        Self { old: alike(old), new: alike(new), others: others.min(MAX_OTHERS) }
    }

    /// Whether both words may be modified while they are executed.
    #[must_use]
    pub fn is_modifiable(&self) -> bool {
        self.old == self.new
            || is_concurrently_modifiable(self.old) && is_concurrently_modifiable(self.new)
    }

    fn sites(&self) -> u8 {
        u8::try_from(self.others.min(MAX_OTHERS) + 1).unwrap_or(1)
    }

    fn word(&self, write: u8) -> String {
        match write {
            0 => format!("old {}", word_name(self.old)),
            _ => format!("new {}", word_name(self.new)),
        }
    }
}

/// A word as people call it.
#[must_use]
pub fn word_name(word: u32) -> String {
    match word {
        NOP => "NOP".to_owned(),
        BRANCH => "B".to_owned(),
        other => format!("{other:#010x}"),
    }
}

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

/// A strategy with what it is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The strategy.
    pub strategy: Strategy,
    /// The ops.
    pub class: Class,
    /// How many PEs there are: one that patches and others.
    pub pes: usize,
}

impl Setting {
    /// Judges the strategy; `None` if the number of PEs is not in [`PES`].
    #[must_use]
    pub fn judge(
        &self,
        cache: CacheType,
        bounds: Bounds,
        cancel: &AtomicBool,
    ) -> Option<Judgement> {
        self.judge_as(cache, RuleSet::all(), true, bounds, cancel)
    }

    /// As [`Self::judge`] without leaving out anything.
    #[must_use]
    pub fn judge_unreduced(&self, cache: CacheType) -> Option<Judgement> {
        let never = AtomicBool::new(false);
        self.judge_as(cache, RuleSet::all(), false, Bounds::default(), &never)
    }

    /// As [`Self::judge`] by other rules.
    #[must_use]
    pub fn judge_with_rules(&self, cache: CacheType, rules: RuleSet) -> Option<Judgement> {
        let never = AtomicBool::new(false);
        self.judge_as(cache, rules, true, Bounds::default(), &never)
    }

    fn shape(&self, reading: Reading, reduced: bool) -> Shape {
        Shape { strategy: self.strategy, class: self.class, pes: self.pes, reading, reduced }
    }

    fn judge_as(
        &self,
        cache: CacheType,
        rules: RuleSet,
        reduced: bool,
        bounds: Bounds,
        cancel: &AtomicBool,
    ) -> Option<Judgement> {
        if !PES.contains(&self.pes) {
            return None;
        }
        let mut judgement = Judgement {
            real_time: Safety::Safe,
            causal: Safety::Safe,
            unpredictable: None,
            incomplete: None,
            states: 0,
        };
        for reading in Reading::ALL {
            let program = program(self.shape(reading, reduced));
            let question = Question { program: &program, cache, rules, reduced };
            let mut found = Safety::Safe;
            let explored = explore(question, bounds, cancel, |_, state| {
                if state.is_unpredictable() {
                    found = Safety::Unpredictable;
                } else if state.is_stale() {
                    found = Safety::Stale;
                } else {
                    return ControlFlow::Continue(());
                }
                ControlFlow::Break(())
            });
            judgement.states += explored.states;
            let is_complete = explored.incomplete.is_none() && explored.nowhere.is_none();
            if found == Safety::Unpredictable {
                judgement.unpredictable = Some((self.class.old, self.class.new));
            }
            if found == Safety::Safe && !is_complete {
                found = Safety::Unknown;
                judgement.incomplete = explored.incomplete.or(Some(Incomplete::Program));
            }
            match reading {
                Reading::RealTime => judgement.real_time = found,
                Reading::Causal => judgement.causal = found,
            }
        }
        Some(judgement)
    }

    /// A shortest execution in which an old word is executed after the return.
    #[must_use]
    pub fn trace(
        &self,
        cache: CacheType,
        reading: Reading,
        bounds: Bounds,
        cancel: &AtomicBool,
    ) -> Option<Trace> {
        if !PES.contains(&self.pes) {
            return None;
        }
        let program = program(self.shape(reading, true));
        let rules = RuleSet::all();
        let question = Question { program: &program, cache, rules, reduced: true };
        let history = shortest(question, bounds, cancel, |_, state| state.is_stale())?;
        Some(trace::tell(history, &program, self.class, cache))
    }
}
