//! Judges a strategy in a setting.

use super::class::Class;
use super::programs::{Shape, program};
use super::scheme::Strategy;
use super::trace::{self, Trace};
use super::verdict::{Judgement, Reading, Safety};
use crate::simulate::explore::{Bounds, Incomplete, Question, explore, shortest};
use crate::simulate::machine::{CacheType, RuleSet};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

/// The numbers of PEs that can be explored.
pub const PES: std::ops::RangeInclusive<usize> = 2..=4;

/// A strategy, with the ops that it patches and the PEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The strategy.
    pub strategy: Strategy,
    /// The class of the ops.
    pub class: Class,
    /// Number of PEs, one of which patches.
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

    /// Like [`Self::judge`], without reductions.
    #[must_use]
    pub fn judge_unreduced(&self, cache: CacheType) -> Option<Judgement> {
        let never = AtomicBool::new(false);
        self.judge_as(cache, RuleSet::all(), false, Bounds::default(), &never)
    }

    /// Like [`Self::judge`], by other rules.
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
        Some(trace::trace_of(history, &program, self.class, cache))
    }
}
