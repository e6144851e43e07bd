//! A litmus test, and its verdict.

use super::condition::{Observable, Proposition};
use super::error::{Fault, LitmusError};
use crate::simulate::explore::{Bounds, Incomplete, Question, explore};
use crate::simulate::machine::{CacheType, Machine, RuleSet, State};
use crate::simulate::program::{Loc, ModelProgram};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

/// A litmus test.
#[derive(Debug, Clone)]
pub struct Litmus {
    /// Its name, from the header.
    pub name: String,
    /// The cache type that the test asks for (`CacheType=`), if any.
    pub cache: Option<CacheType>,
    pub(super) program: ModelProgram,
    /// Line of each instruction, from 1.
    pub(super) lines: Vec<usize>,
    pub(super) condition: Proposition<Wanted>,
}

/// A value that a condition asks for, and its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) loc: Option<Loc>,
    pub(super) value: u64,
}

/// The answer of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An execution satisfies the condition.
    Allowed,
    /// No execution satisfies the condition.
    Forbidden,
    /// No execution that was explored satisfies the condition, but the exploration is incomplete.
    Unknown(Incomplete),
}

impl Answer {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::Forbidden => "Forbidden",
            Self::Unknown(_) => "Unknown",
        }
    }
}

/// The verdict of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Whether an execution can satisfy the condition.
    pub answer: Answer,
    /// Number of states visited: all, or as many as it took to find a satisfying execution.
    pub states: u64,
    /// Whether an execution modifies words concurrently with their execution that may not be so
    /// modified: the behaviour is CONSTRAINED UNPREDICTABLE, and the answer holds only for PEs that
    /// execute one of the two words.
    pub unpredictable: bool,
}

impl Litmus {
    /// Number of processes.
    #[must_use]
    pub const fn pes(&self) -> usize {
        self.program.pes.len()
    }

    /// Judges the test.
    ///
    /// # Errors
    /// If an execution accesses an address that is no location.
    pub fn judge(
        &self,
        cache: CacheType,
        rules: RuleSet,
        bounds: Bounds,
        cancel: &AtomicBool,
    ) -> Result<Judged, LitmusError> {
        self.judge_as(cache, rules, true, bounds, cancel)
    }

    /// Like [`Self::judge`], with all rules and without reductions.
    ///
    /// # Errors
    /// Like [`Self::judge`].
    pub fn judge_unreduced(
        &self,
        cache: CacheType,
        bounds: Bounds,
        cancel: &AtomicBool,
    ) -> Result<Judged, LitmusError> {
        self.judge_as(cache, RuleSet::all(), false, bounds, cancel)
    }

    fn judge_as(
        &self,
        cache: CacheType,
        rules: RuleSet,
        reduced: bool,
        bounds: Bounds,
        cancel: &AtomicBool,
    ) -> Result<Judged, LitmusError> {
        let mut found = false;
        let question = Question { program: &self.program, cache, rules, reduced };
        let explored = explore(question, bounds, cancel, |machine, state| {
            found |= machine.is_final(state) && self.holds(machine, state);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let (Some(place), false) = (explored.nowhere, found) {
            let line = self.lines.get(usize::from(place)).copied().unwrap_or(1);
            let fault = Fault::expected("the address of a location", "another address");
            return Err(fault.at(line));
        }
        let answer = match (found, explored.incomplete) {
            (true, _) => Answer::Allowed,
            (false, None) => Answer::Forbidden,
            (false, Some(why)) => Answer::Unknown(why),
        };
        Ok(Judged { answer, states: explored.states, unpredictable: explored.unpredictable })
    }

    fn holds(&self, machine: &Machine<'_>, state: &State) -> bool {
        self.condition.holds(&|place, wanted| {
            let value = match (place, wanted.loc) {
                (Observable::Register(pe, reg), _) => Some(state.register(*pe, *reg)),
                (_, Some(loc)) => machine.value(state, loc),
                _ => None,
            };
            value == Some(wanted.value)
        })
    }
}
