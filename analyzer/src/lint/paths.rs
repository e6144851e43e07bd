//! Path-sensitive analysis of the obligation: a synchronisation that is skipped only where
//! nothing was patched fulfils it.
//!
//! # Paths are distinguished by the obligation only
//! A function is first analysed without values ([`super::obligation`]). If it may return with the
//! obligation although it synchronises on some path, this analysis tracks registers and words of
//! data in two states: one for the paths on which the obligation is pending, one for the others
//! (property simulation: M. Das, S. Lerner, M. Seigle, "ESP: path-sensitive program verification
//! in polynomial time", PLDI 2002). A branch on a known value is followed only along feasible
//! paths. The cost is linear in the size of the function. The analysis understands:
//!
//! - `if (patch()) sync()`: a result that is zero if nothing was patched;
//! - a count or flag in a register that is not zero once something was patched;
//! - a word of data at a constant address that the patcher sets and the branch reads;
//! - each of these with the branch in a function of its own, on a parameter or word that is not
//!   zero ([`Guard`]).
//!
//! It does not understand comparisons other than for equality with a number, counts on the stack,
//! and words of data across calls of other functions. The obligation then stays pending. Two
//! assumptions are made: counts do not overflow, and no other function changes the words in
//! [`PathState`].

use super::obligation::Root;
use super::path_state::{PathState, TrackedWords};
use super::subject::Subject;
use super::syncs::{Effect, Guard, Syncs};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Lattice, StepsExceeded, Successor, at_exits, solve};
use crate::image::Image;
use crate::program::{Block, Cfg, Exit, FuncId};
use crate::semantics::{Control, INSN_BYTES, Operation};
use crate::values::{FunctionBody, Location, Origin, Value, ValueAnalysis};
use std::rc::Rc;

/// The two states; each is `None` if there is no such path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PathStates {
    clear: Option<PathState>,
    pending: Option<PathState>,
}

impl Lattice for PathStates {
    fn join(&mut self, other: &Self) -> bool {
        let clear = join(&mut self.clear, other.clear.clone());
        join(&mut self.pending, other.pending.clone()) || clear
    }
}

fn join(path: &mut Option<PathState>, other: Option<PathState>) -> bool {
    match (path, other) {
        (_, None) => false,
        (Some(path), Some(other)) => path.join(&other),
        (path, other) => {
            *path = other;
            true
        }
    }
}

/// The effect of a function on the paths of one state.
#[derive(Debug, Clone)]
pub(super) struct ReturnState {
    result: Option<Value>,
    words: TrackedWords,
    preserves_data: bool,
}

/// The effect of a function that is called with nothing pending.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    clear: Option<ReturnState>,
    pub(super) pending: Option<ReturnState>,
}

/// The facts known about callees.
pub(super) trait Callees {
    /// Whether a function may return with the obligation.
    fn may_return_pending(&self, id: FuncId) -> bool;

    /// The effect of such a function, if it is known in detail.
    fn outcomes(&self, id: FuncId) -> Option<Rc<Outcomes>>;

    /// The guards under which a function synchronises on every path.
    fn guards(&self, id: FuncId) -> Rc<[Guard]>;
}

/// The effect of `id` if nothing is pending at its entry. The patches are those of `root`.
///
/// # Errors
/// If the analysis exceeds its limit of steps.
pub(super) fn outcomes(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    callees: &dyn Callees,
    id: FuncId,
) -> Result<Outcomes, StepsExceeded> {
    let entry = PathStates { clear: Some(PathState::at_entry()), pending: None };
    let state = Paths::new(subject, syncs, Some(root), callees, id).solve(entry)?;
    let effect_of = |path: PathState| ReturnState {
        result: Some(path.values.argument(0)).filter(|result| result.is_number()),
        words: path.words(),
        preserves_data: path.preserves_data,
    };
    Ok(Outcomes { clear: state.clear.map(effect_of), pending: state.pending.map(effect_of) })
}

/// Whether a function synchronises on some path, by itself or in a callee. Otherwise there are no
/// paths to distinguish.
pub(super) fn may_skip(subject: &Subject<'_, '_>, syncs: &Syncs, id: FuncId) -> bool {
    if let Some(known) = syncs.may_skip.borrow().get(&id) {
        return *known;
    }
    let mut calls = subject.program.calls_of(id).iter();
    let may_skip = syncs.calls_sync(subject, id)
        || calls.any(|call| !guards(subject, syncs, call.callee).is_empty());
    syncs.may_skip.borrow_mut().insert(id, may_skip);
    may_skip
}

/// Instructions of the longest function that is recognised as a guarded synchronisation.
const LONGEST: u64 = 256;

/// The guards under which `id` synchronises on every path, whatever is pending. Computed once.
pub(super) fn guards(subject: &Subject<'_, '_>, syncs: &Syncs, id: FuncId) -> Rc<[Guard]> {
    if let Some(known) = syncs.guards.borrow().get(&id) {
        return Rc::clone(known);
    }
    let is_short = subject.program.function(id).range.size() <= LONGEST * INSN_BYTES;
    let may_be = is_short && subject.role(id).is_none() && syncs.calls_sync(subject, id);
    let found: Rc<[Guard]> = if may_be {
        let candidates = candidates(subject, id);
        candidates.into_iter().filter(|guard| fulfils(subject, syncs, id, *guard)).collect()
    } else {
        Rc::new([])
    };
    syncs.guards.borrow_mut().insert(id, Rc::clone(&found));
    found
}

/// Guards that are tried for one function.
const MOST_GUARDS: usize = 4;

/// Parameters and words of data that the branches of `id` test.
fn candidates(subject: &Subject<'_, '_>, id: FuncId) -> Vec<Guard> {
    let cfg = subject.cfg(id);
    let body = FunctionBody { program: &subject.program, cfg: &cfg, id };
    let values = ValueAnalysis { image: subject.image, body };
    let Ok(before) = solve(&cfg, &values) else { return Vec::new() };
    let mut found: Vec<Guard> = Vec::new();
    for (block, state) in cfg.blocks.iter().zip(before) {
        let (Some(mut state), Some((test, _))) = (state, body.branch(block)) else { continue };
        values.transfer(block, &mut state);
        let path = state.tested(test).and_then(Value::exact);
        let Some(path) = path.filter(|path| path.loads().is_empty()) else { continue };
        let guard = match path.origin() {
            Origin::Entry(number @ 0..8) => Guard::Argument(number.into()),
            Origin::Word(address) => Guard::Word(address),
            _ => continue,
        };
        if !found.contains(&guard) && found.len() < MOST_GUARDS {
            found.push(guard);
        }
    }
    found
}

/// Whether nothing stays pending in `id` if `guard` is not zero.
fn fulfils(subject: &Subject<'_, '_>, syncs: &Syncs, id: FuncId, guard: Guard) -> bool {
    let mut path = PathState::at_entry();
    match guard {
        Guard::Argument(number) => path.values.set_argument(number, Value::NOT_ZERO),
        Guard::Word(address) => path.values.set_word(Location::Address(address), Value::NOT_ZERO),
    }
    let entry = PathStates { clear: None, pending: Some(path) };
    let solved = Paths::new(subject, syncs, None, &NothingPatches, id).solve(entry);
    solved.is_ok_and(|state| state.pending.is_none() && state.clear.is_some())
}

/// Callees that patch nothing: the caller of [`guards`] knows about patches. The guards of
/// callees are not used, so that no guard depends on itself.
struct NothingPatches;

impl Callees for NothingPatches {
    fn may_return_pending(&self, _: FuncId) -> bool {
        false
    }

    fn outcomes(&self, _: FuncId) -> Option<Rc<Outcomes>> {
        None
    }

    fn guards(&self, _: FuncId) -> Rc<[Guard]> {
        Rc::new([])
    }
}

struct Paths<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a Syncs,
    root: Option<&'a Root>,
    callees: &'a dyn Callees,
    id: FuncId,
    cfg: Rc<Cfg>,
    entry: PathStates,
}

impl<'a, 'b, 'data> Paths<'a, 'b, 'data> {
    fn new(
        subject: &'a Subject<'b, 'data>,
        syncs: &'a Syncs,
        root: Option<&'a Root>,
        callees: &'a dyn Callees,
        id: FuncId,
    ) -> Self {
        Self {
            subject,
            syncs,
            root,
            callees,
            id,
            cfg: subject.cfg(id),
            entry: PathStates::default(),
        }
    }

    fn body(&self) -> FunctionBody<'_, 'data> {
        FunctionBody { program: &self.subject.program, cfg: &self.cfg, id: self.id }
    }

    /// The states at the return.
    fn solve(mut self, entry: PathStates) -> Result<PathStates, StepsExceeded> {
        self.entry = entry;
        let before = solve(&self.cfg, &self)?;
        let mut all = PathStates::default();
        for (_, exit, mut state) in at_exits(&self.cfg, &self, before) {
            if let Exit::TailCall { at, to } = exit {
                self.call(to, at, &mut state);
            }
            all.join(&state);
        }
        Ok(all)
    }

    fn call(&self, callee: FuncId, at: Svma, state: &mut PathStates) {
        let effect = self.syncs.effect(self.subject, self.id, callee, at);
        let is_fulfilled = |path: &PathState| {
            effect == Effect::Syncs
                || self.callees.guards(callee).iter().any(|guard| holds(*guard, path))
        };
        if state.pending.as_ref().is_some_and(is_fulfilled) {
            let pending = state.pending.take();
            join(&mut state.clear, pending);
        }
        let is_site = |root: &Root| {
            root.function == self.id && root.sites.iter().any(|(site, _)| *site == at)
        };
        let patches =
            matches!(effect, Effect::Patches | Effect::Maintains) && self.root.is_some_and(is_site);
        let known = match self.callees.may_return_pending(callee) {
            true if !patches => self.callees.outcomes(callee),
            _ => None,
        };
        if let Some(outcomes) = known {
            *state = after(self.subject.image, &outcomes, at, state);
            return;
        }
        state
            .clear
            .iter_mut()
            .chain(&mut state.pending)
            .for_each(|path| path.call(self.subject.image, at));
        if patches || self.callees.may_return_pending(callee) {
            let clear = state.clear.take();
            join(&mut state.pending, clear);
        }
    }

    fn execute(&self, at: Svma, operation: &Operation, state: &mut PathStates) {
        let control = match operation {
            Operation::Control(control) => Some(*control),
            _ => None,
        };
        let callee = match control {
            Some(Control::Call { to }) => self.subject.program.function_at(to),
            _ => None,
        };
        match (control, callee) {
            (Some(Control::Call { .. }), Some(callee)) => self.call(callee, at, state),
            (Some(Control::Call { .. }), None) | (Some(Control::CallRegister { .. }), _) => {
                state
                    .clear
                    .iter_mut()
                    .chain(&mut state.pending)
                    .for_each(|path| path.call(self.subject.image, at));
            }
            _ => {
                if control == Some(Control::SupervisorCall) && self.syncs.is_sync_core(at) {
                    let pending = state.pending.take();
                    join(&mut state.clear, pending);
                }
                for path in state.clear.iter_mut().chain(&mut state.pending) {
                    path.execute(self.subject.image, at, operation);
                }
            }
        }
        let is_store = |root: &Root| root.function == self.id && root.stores.contains(&at);
        if self.root.is_some_and(is_store) {
            let clear = state.clear.take();
            join(&mut state.pending, clear);
        }
    }
}

/// Whether a guard is known not to be zero.
fn holds(guard: Guard, path: &PathState) -> bool {
    let value = match guard {
        Guard::Argument(number) => Some(path.values.argument(number)),
        Guard::Word(address) => path.word(address),
    };
    value.and_then(Value::is_zero) == Some(false)
}

/// Applies a call at `at` of a function with `outcomes` to `state`.
fn after(image: &Image<'_>, outcomes: &Outcomes, at: Svma, state: &PathStates) -> PathStates {
    let apply = |path: &Option<PathState>, effect: &Option<ReturnState>| -> Option<PathState> {
        let (path, effect) = (path.as_ref()?, effect.as_ref()?);
        let words = if effect.preserves_data { path.words() } else { effect.words.clone() };
        let mut after_call = path.clone();
        after_call.call(image, at);
        if let Some(result) = effect.result {
            after_call.values.set_argument(0, result);
        }
        for (address, value) in words {
            after_call.values.set_word(Location::Address(address), value);
        }
        after_call.preserves_data = path.preserves_data && effect.preserves_data;
        Some(after_call)
    };
    let mut pending = apply(&state.clear, &outcomes.pending);
    join(&mut pending, apply(&state.pending, &outcomes.clear));
    join(&mut pending, apply(&state.pending, &outcomes.pending));
    PathStates { clear: apply(&state.clear, &outcomes.clear), pending }
}

impl Analysis for Paths<'_, '_, '_> {
    type State = PathStates;

    fn entry(&self) -> PathStates {
        self.entry.clone()
    }

    fn transfer(&self, block: &Block, state: &mut PathStates) {
        for (at, operation) in self.body().instructions(block) {
            self.execute(at, &operation, state);
        }
    }

    fn follow(&self, block: &Block, next: Successor, state: &mut PathStates) -> bool {
        let Some((test, is_taken)) = self.body().edge(block, next) else { return true };
        for path in [&mut state.clear, &mut state.pending] {
            path.take_if(|path| !path.assume(test, is_taken));
        }
        state.clear.is_some() || state.pending.is_some()
    }
}
