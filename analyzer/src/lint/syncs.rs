//! Calls that make the other CPUs synchronise, and functions that always do.

use super::model::FunctionRole;
use super::primitive::{MemoryEffect, Primitives};
use super::subject::Subject;
use crate::addr::Svma;
use crate::dataflow::{Analysis, Summaries, at_exits, solve, summarize};
use crate::program::{Block, CallSite, Exit, FuncId};
use crate::semantics::Control;
use foldhash::{HashMap, HashSet};
use std::cell::RefCell;
use std::rc::Rc;

/// The effect of a call on the obligation to synchronise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    /// No effect.
    None,
    /// Fulfils the obligation.
    Syncs,
    /// Creates an obligation for existing code.
    Patches,
    /// Creates an obligation for code that some function has written.
    Maintains,
    /// Stops all CPUs for a callback that does not execute an ISB on all of them.
    StopsWithoutIsb,
}

/// A call that stops all CPUs for a callback that does not execute an ISB on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StopWithoutIsb {
    pub(super) caller: FuncId,
    pub(super) at: Svma,
    pub(super) callback: FuncId,
    /// Whether only one CPU runs the callback, which does execute an ISB.
    pub(super) is_on_one_cpu: bool,
}

/// A value that is not zero where a function synchronises, if it synchronises on some paths only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Guard {
    /// The parameter with this number.
    Argument(usize),
    /// The word of data at this address.
    Word(u64),
}

/// MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE (`include/uapi/linux/membarrier.h`).
pub(super) const SYNC_CORE: u64 = 1 << 5;
/// MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE.
pub(super) const REGISTER_SYNC_CORE: u64 = 1 << 6;

/// A call of membarrier(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membarrier {
    pub(super) function: FuncId,
    pub(super) at: Svma,
    /// Its command; `None` if it is not a constant.
    pub(super) command: Option<u64>,
}

/// All calls of membarrier(2), by syscall(2), SVC, or a function that passes the command on, by
/// address.
fn membarriers(subject: &Subject<'_, '_>, primitives: &Primitives) -> Vec<Membarrier> {
    let program = &subject.program;
    let calls = primitives.callees().flat_map(|id| program.callers(id));
    let mut functions: Vec<FuncId> = calls.map(|call| call.caller).collect();
    let own = program.events().iter().filter(|event| super::subject::is_system_call(event));
    functions.extend(own.filter_map(|event| program.function_at(event.at)));
    functions.sort_unstable();
    functions.dedup();
    let mut found = Vec::new();
    for function in functions {
        subject.for_each_instruction(function, |state, at, operation| {
            for effect in primitives.of_operation(subject, operation, state) {
                if let MemoryEffect::Membarrier { command } = effect {
                    let command = command.as_number().map(|command| command & 0xffff_ffff);
                    found.push(Membarrier { function, at, command });
                }
            }
        });
    }
    found.sort_by_key(|call| call.at);
    found
}

/// Functions that synchronise on every path.
#[derive(Default)]
pub(super) struct Syncs {
    /// Calls that change memory, protections or caches, in programs only.
    pub(super) primitives: Primitives,
    /// Calls of membarrier(2), in programs only.
    pub(super) membarriers: Vec<Membarrier>,
    /// Callbacks of stop_machine.
    callbacks: HashSet<FuncId>,
    pub(super) without_isb: Vec<StopWithoutIsb>,
    always: HashSet<FuncId>,
    effects: RefCell<HashMap<(Svma, FuncId), Effect>>,
    /// Guards of functions, computed on demand ([`super::paths`]).
    pub(super) guards: RefCell<HashMap<FuncId, Rc<[Guard]>>>,
    /// Whether a function may skip a synchronisation, computed on demand.
    pub(super) may_skip: RefCell<HashMap<FuncId, bool>>,
    /// Whether a function synchronises on some path, computed on demand.
    may_sync: RefCell<HashMap<FuncId, bool>>,
    /// Functions whose analysis was given up.
    pub(super) given_up: usize,
}

impl Syncs {
    pub(super) fn find(subject: &Subject<'_, '_>) -> Self {
        let mut syncs = Self::default();
        let is_sync = |role| {
            matches!(
                role,
                FunctionRole::Syncs
                    | FunctionRole::SyncsIfArgument(_)
                    | FunctionRole::SyncsIfCallbackIsbs { .. }
                    | FunctionRole::PatchesAndSyncs
            )
        };
        let named = subject.program.ids().filter(|id| subject.role(*id).is_some_and(is_sync));
        let calls = named.flat_map(|id| subject.program.callers(id));
        let mut seeds: Vec<FuncId> = calls.map(|call| call.caller).collect();
        syncs.find_callbacks(subject);
        if !subject.is_kernel {
            syncs.primitives = Primitives::find(subject);
            syncs.membarriers = membarriers(subject, &syncs.primitives);
            let sync_core = syncs.membarriers.iter().filter(|call| call.command == Some(SYNC_CORE));
            seeds.extend(sync_core.map(|call| call.function));
        }
        if seeds.is_empty() {
            return syncs;
        }
        seeds.sort_unstable();
        seeds.dedup();
        let mut always = AlwaysSyncs {
            subject,
            syncs: &mut syncs,
            announced: HashSet::default(),
            cycles: HashSet::default(),
        };
        let given_up = summarize(&subject.program, subject.call_order(), seeds, &mut always);
        syncs.given_up += given_up;
        syncs
    }

    fn find_callbacks(&mut self, subject: &Subject<'_, '_>) {
        let takes_callback = |id: &FuncId| {
            matches!(subject.role(*id), Some(FunctionRole::SyncsIfCallbackIsbs { .. }))
        };
        for stopper in subject.program.ids().filter(takes_callback) {
            let Some(FunctionRole::SyncsIfCallbackIsbs { callback: number, cpus }) =
                subject.role(stopper)
            else {
                continue;
            };
            for CallSite { caller, at, .. } in subject.program.callers(stopper) {
                let Some(callback) = subject.function_argument(caller, at, number) else {
                    continue;
                };
                self.callbacks.insert(callback);
                let has_isb = subject.reaches_isb(callback);
                let is_on_one_cpu = has_isb && is_null(subject, caller, at, cpus);
                if !has_isb || is_on_one_cpu {
                    let stop = StopWithoutIsb { caller, at, callback, is_on_one_cpu };
                    self.without_isb.push(stop);
                }
            }
        }
    }

    /// Whether a function is a callback of stop_machine. After the callback all CPUs are
    /// synchronised; if they are not, that is a finding of its own.
    pub(super) fn is_callback(&self, id: FuncId) -> bool {
        self.callbacks.contains(&id)
    }

    /// Whether the instruction at `at` is a call of membarrier with SYNC_CORE.
    pub(super) fn is_sync_core(&self, at: Svma) -> bool {
        let found = self.membarriers.binary_search_by_key(&at, |call| call.at);
        found.is_ok_and(|index| self.membarriers[index].command == Some(SYNC_CORE))
    }

    /// The effect of the call of `callee` at `at` in `caller`.
    pub(super) fn effect(
        &self,
        subject: &Subject<'_, '_>,
        caller: FuncId,
        callee: FuncId,
        at: Svma,
    ) -> Effect {
        if self.is_sync_core(at) {
            return Effect::Syncs;
        }
        match subject.role(callee) {
            Some(FunctionRole::Patches | FunctionRole::Writes) => Effect::Patches,
            Some(FunctionRole::Maintains) => Effect::Maintains,
            Some(FunctionRole::Syncs | FunctionRole::PatchesAndSyncs) => Effect::Syncs,
            Some(
                role
                @ (FunctionRole::SyncsIfArgument(_) | FunctionRole::SyncsIfCallbackIsbs { .. }),
            ) => {
                if let Some(effect) = self.effects.borrow().get(&(at, callee)) {
                    return *effect;
                }
                let effect = match role {
                    FunctionRole::SyncsIfArgument(number) => {
                        match subject.argument(caller, at, number) {
                            Some(wait) if wait & 0xffff_ffff != 0 => Effect::Syncs,
                            _ => Effect::None,
                        }
                    }
                    FunctionRole::SyncsIfCallbackIsbs { callback, cpus } => {
                        match subject.function_argument(caller, at, callback) {
                            Some(callback)
                                if subject.reaches_isb(callback)
                                    && !is_null(subject, caller, at, cpus) =>
                            {
                                Effect::Syncs
                            }
                            Some(_) => Effect::StopsWithoutIsb,
                            None => Effect::None,
                        }
                    }
                    _ => Effect::None,
                };
                self.effects.borrow_mut().insert((at, callee), effect);
                effect
            }
            _ if self.always.contains(&callee) => Effect::Syncs,
            _ if self.primitives.flushes(callee) => Effect::Maintains,
            _ => Effect::None,
        }
    }

    /// Whether a function synchronises on every path.
    pub(super) fn always(&self, id: FuncId) -> bool {
        self.always.contains(&id)
    }

    /// Whether a function synchronises on some path, by a direct call.
    pub(super) fn calls_sync(&self, subject: &Subject<'_, '_>, id: FuncId) -> bool {
        let calls = subject.program.calls_of(id).iter();
        let mut effects = calls.map(|call| self.effect(subject, id, call.callee, call.at));
        let mut own = subject.program.events_of(id).iter();
        effects.any(|effect| effect == Effect::Syncs)
            || own.any(|event| {
                event.control == Control::SupervisorCall && self.is_sync_core(event.at)
            })
    }

    /// As [`Self::calls_sync`], computed once.
    pub(super) fn may_sync(&self, subject: &Subject<'_, '_>, id: FuncId) -> bool {
        if let Some(known) = self.may_sync.borrow().get(&id) {
            return *known;
        }
        let found = self.calls_sync(subject, id);
        self.may_sync.borrow_mut().insert(id, found);
        found
    }

    /// The number of functions that make the other CPUs synchronise: primitives, and functions
    /// that reach one on every path.
    pub(super) fn count(&self, subject: &Subject<'_, '_>) -> usize {
        let is_sync = |id: &FuncId| {
            matches!(subject.role(*id), Some(FunctionRole::Syncs | FunctionRole::PatchesAndSyncs))
        };
        let mut all: HashSet<FuncId> = self.always.clone();
        all.extend(subject.program.ids().filter(is_sync));
        let by_call = self.membarriers.iter().filter(|call| call.command == Some(SYNC_CORE));
        all.extend(by_call.map(|call| call.function));
        all.len()
    }
}

/// Whether the argument with the number `cpus`, if there is one, is a null pointer.
fn is_null(subject: &Subject<'_, '_>, caller: FuncId, at: Svma, cpus: Option<usize>) -> bool {
    cpus.and_then(|number| subject.argument(caller, at, number)) == Some(0)
}

/// The summary "synchronises on every path to a return".
struct AlwaysSyncs<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a mut Syncs,
    /// Functions whose callers have been evaluated with the summary.
    announced: HashSet<FuncId>,
    /// Components that were evaluated as a whole.
    cycles: HashSet<u32>,
}

/// Functions of the largest cycle that is evaluated as a whole. Each of its functions is assumed
/// to synchronise until a path disproves that: every return leaves the cycle somewhere.
const MOST_IN_CYCLE: usize = 16;

impl Summaries for AlwaysSyncs<'_, '_, '_> {
    fn evaluate(&mut self, id: FuncId) -> bool {
        if self.subject.role(id).is_some() {
            return false;
        }
        if self.syncs.always.contains(&id) || self.always(id) {
            self.syncs.always.insert(id);
        } else {
            self.evaluate_cycle(id);
        }
        self.syncs.always.contains(&id) && self.announced.insert(id)
    }

    /// A function that is not known to synchronise is taken not to.
    fn give_up(&mut self, _: FuncId) -> bool {
        false
    }
}

impl AlwaysSyncs<'_, '_, '_> {
    /// Finds the functions in the cycle of `id` that synchronise, given that the others do.
    fn evaluate_cycle(&mut self, id: FuncId) {
        let order = self.subject.call_order();
        let members = order.members(id);
        let calls_itself = |id| self.subject.program.calls_of(id).iter().any(|c| c.callee == id);
        let is_cycle = members.len() > 1 || calls_itself(id);
        if !is_cycle || members.len() > MOST_IN_CYCLE || !self.cycles.insert(order.component(id)) {
            return;
        }
        let may_be =
            |id: &FuncId| self.subject.role(*id).is_none() && !self.syncs.always.contains(id);
        let mut assumed: Vec<FuncId> = members.iter().copied().filter(may_be).collect();
        self.syncs.always.extend(&assumed);
        while let Some(at) = assumed.iter().position(|id| !self.always(*id)) {
            self.syncs.always.remove(&assumed.swap_remove(at));
        }
    }

    fn always(&mut self, id: FuncId) -> bool {
        let cfg = self.subject.cfg(id);
        let analysis = Unsynced { subject: self.subject, syncs: self.syncs, id };
        let Ok(before) = solve(&cfg, &analysis) else {
            self.syncs.given_up += 1;
            return false;
        };
        let mut returns = false;
        for (_, exit, is_unsynced) in at_exits(&cfg, &analysis, before) {
            returns = true;
            let is_synced_there = match exit {
                Exit::TailCall { at, to } => {
                    self.syncs.effect(self.subject, id, to, at) == Effect::Syncs
                }
                Exit::Return { .. } | Exit::Unknown { .. } => false,
            };
            if is_unsynced && !is_synced_there {
                return false;
            }
        }
        returns
    }
}

/// Whether a path without a synchronisation leads to this point.
struct Unsynced<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a Syncs,
    id: FuncId,
}

impl Analysis for Unsynced<'_, '_, '_> {
    type State = bool;

    fn entry(&self) -> bool {
        true
    }

    fn transfer(&self, block: &Block, is_unsynced: &mut bool) {
        for event in &self.subject.program.events()[block.events.clone()] {
            if let Control::Call { to } = event.control
                && let Some(callee) = self.subject.program.starting_at(to)
                && self.syncs.effect(self.subject, self.id, callee, event.at) == Effect::Syncs
            {
                *is_unsynced = false;
            }
            if event.control == Control::SupervisorCall && self.syncs.is_sync_core(event.at) {
                *is_unsynced = false;
            }
        }
    }
}
