//! Visits every reachable state, within bounds.
//!
//! Depth first, with a set of the fingerprints of visited states. The reductions change no verdict:
//! states that differ only in writes that no PE can read any more are one state; predictions and
//! guesses are made first; internal transitions happen at once; and an IC reaches all PEs in one
//! step. The last holds because an instruction cache that the IC has not reached can supply
//! everything that one that it has reached can supply, and only the completion of the IC waits for
//! a reach. Tests compare reduced and unreduced explorations.

use super::machine::{CacheType, Event, Machine, RuleSet, State, Step, Stop};
use super::program::ModelProgram;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// The bounds of an exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most states that are visited.
    pub states: u64,
}

impl Default for Bounds {
    /// Some hundred MiB of memory.
    fn default() -> Self {
        Self { states: 4_000_000 }
    }
}

/// Why an exploration is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomplete {
    /// The bound on states was reached.
    States,
    /// The program has more instructions in flight, writes or locations than the model holds;
    /// mostly it loops.
    Program,
    /// The user cancelled the exploration.
    Cancelled,
}

impl Incomplete {
    /// The reason in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::States => "more states than the bound",
            Self::Program => "more instructions in flight or writes than the model holds",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A program, with the assumptions about the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// The program.
    pub(super) program: &'a ModelProgram,
    /// The cache type of the PEs.
    pub(super) cache: CacheType,
    /// The rules of the model.
    pub(super) rules: RuleSet,
    /// Whether steps that change no verdict are left out.
    pub(super) reduced: bool,
}

/// The result of an exploration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Explored {
    /// Number of states visited.
    pub(super) states: u64,
    /// Why the exploration is incomplete, if it is.
    pub(super) incomplete: Option<Incomplete>,
    /// The position of an instruction that accesses no location.
    pub(super) nowhere: Option<u16>,
    /// Whether any behaviour was CONSTRAINED UNPREDICTABLE.
    pub(super) unpredictable: bool,
}

/// A hasher for fingerprints, which are hashes already.
#[derive(Default)]
struct Fingerprints(u64);

impl Hasher for Fingerprints {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.0 ^= chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 ^= u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
    }
}

type Visited = HashSet<u128, BuildHasherDefault<Fingerprints>>;

/// Calls `visit` with every reachable state, until `visit` breaks.
pub(super) fn explore(
    question: Question<'_>,
    bounds: Bounds,
    cancel: &AtomicBool,
    mut visit: impl FnMut(&Machine<'_>, &State) -> ControlFlow<()>,
) -> Explored {
    let mut written = Vec::new();
    let mut states = 0;
    // A store to an instruction that was assumed to be constant restarts the exploration, at most
    // once for each instruction.
    loop {
        match pass(question, &written, states, bounds, cancel, &mut visit) {
            Ok(explored) => return explored,
            Err((more, seen)) => {
                written.push(more);
                written.sort_unstable();
                states = seen;
            }
        }
    }
}

fn pass(
    question: Question<'_>,
    written: &[u16],
    before: u64,
    bounds: Bounds,
    cancel: &AtomicBool,
    visit: &mut impl FnMut(&Machine<'_>, &State) -> ControlFlow<()>,
) -> Result<Explored, (u16, u64)> {
    let Question { program, cache, rules, reduced } = question;
    let mut explored =
        Explored { states: before, incomplete: None, nowhere: None, unpredictable: false };
    let Some(machine) = Machine::new(program, cache, rules, reduced, written) else {
        explored.incomplete = Some(Incomplete::Program);
        return Ok(explored);
    };
    let mut silent = |_: usize, _: Event| {};
    let mut visited = Visited::default();
    let (mut buffer, mut steps) = (Vec::new(), Vec::new());
    let mut stack = Vec::new();
    let mut next = Some(machine.start(&mut silent));
    loop {
        let result = match next.take() {
            Some(result) => result,
            None => {
                let Some((state, step)) = pop(&mut stack) else { return Ok(explored) };
                let mut state = state;
                let taken = machine.take(&mut state, step, &mut silent);
                taken.map(|()| state)
            }
        };
        let state = match result {
            Ok(state) => state,
            Err(Stop::Pruned) => continue,
            Err(Stop::Writes(place)) => return Err((place, explored.states)),
            Err(Stop::Bound) => {
                explored.incomplete = Some(Incomplete::Program);
                continue;
            }
            Err(Stop::Nowhere(place)) => {
                explored.nowhere.get_or_insert(place);
                continue;
            }
        };
        if !visited.insert(machine.fingerprint(&state, &mut buffer)) {
            continue;
        }
        explored.states += 1;
        explored.unpredictable |= state.is_unpredictable();
        if explored.states > bounds.states {
            explored.incomplete = Some(Incomplete::States);
            return Ok(explored);
        }
        if explored.states.is_multiple_of(1024) && cancel.load(Ordering::Relaxed) {
            explored.incomplete = Some(Incomplete::Cancelled);
            return Ok(explored);
        }
        if visit(&machine, &state).is_break() {
            return Ok(explored);
        }
        machine.steps(&state, &mut steps);
        if !steps.is_empty() {
            stack.push((state, steps.clone()));
        }
    }
}

/// The next step to take, with a state to take it in.
fn pop(stack: &mut Vec<(State, Vec<Step>)>) -> Option<(State, Step)> {
    let (state, steps) = stack.last_mut()?;
    let step = steps.pop()?;
    if steps.is_empty() {
        return stack.pop().map(|(state, _)| (state, step));
    }
    Some((state.clone(), step))
}

/// Events with the PE of each.
pub(super) type History = Vec<(usize, Event)>;

/// A shortest execution into a state that `wanted` accepts, as its events; `None` if there is none
/// within the bounds.
pub(super) fn shortest(
    question: Question<'_>,
    bounds: Bounds,
    cancel: &AtomicBool,
    wanted: impl Fn(&Machine<'_>, &State) -> bool,
) -> Option<History> {
    let Question { program, cache, rules, reduced } = question;
    let mut written = Vec::new();
    loop {
        let machine = Machine::new(program, cache, rules, reduced, &written)?;
        match breadth_first(&machine, bounds, cancel, &wanted) {
            Ok(steps) => return replay(&machine, &steps?),
            Err(place) => {
                written.push(place);
                written.sort_unstable();
            }
        }
    }
}

fn breadth_first(
    machine: &Machine<'_>,
    bounds: Bounds,
    cancel: &AtomicBool,
    wanted: &impl Fn(&Machine<'_>, &State) -> bool,
) -> Result<Option<Vec<Step>>, u16> {
    let mut silent = |_: usize, _: Event| {};
    let Ok(first) = machine.start(&mut silent) else { return Ok(None) };
    let (mut buffer, mut steps) = (Vec::new(), Vec::new());
    let fingerprint = machine.fingerprint(&first, &mut buffer);
    let mut from: HashMap<u128, Option<(u128, Step)>, BuildHasherDefault<Fingerprints>> =
        HashMap::default();
    from.insert(fingerprint, None);
    let mut queue = std::collections::VecDeque::from([(first, fingerprint)]);
    while let Some((state, here)) = queue.pop_front() {
        if wanted(machine, &state) {
            let mut path = Vec::new();
            let mut at = here;
            while let Some(Some((before, step))) = from.get(&at) {
                path.push(*step);
                at = *before;
            }
            path.reverse();
            return Ok(Some(path));
        }
        if from.len() as u64 > bounds.states || cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        machine.steps(&state, &mut steps);
        for step in steps.clone() {
            let mut then = state.clone();
            match machine.take(&mut then, step, &mut silent) {
                Ok(()) => {}
                Err(Stop::Writes(place)) => return Err(place),
                Err(_) => continue,
            }
            let there = machine.fingerprint(&then, &mut buffer);
            if let std::collections::hash_map::Entry::Vacant(vacant) = from.entry(there) {
                vacant.insert(Some((here, step)));
                queue.push_back((then, there));
            }
        }
    }
    Ok(None)
}

fn replay(machine: &Machine<'_>, steps: &[Step]) -> Option<History> {
    let mut history = Vec::new();
    let mut tell = |pe: usize, event: Event| history.push((pe, event));
    let mut state = machine.start(&mut tell).ok()?;
    for step in steps {
        machine.take(&mut state, *step, &mut tell).ok()?;
    }
    Some(history)
}
