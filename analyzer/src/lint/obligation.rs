//! The obligation to synchronise: who makes it, and through which functions it is
//! handed on without being fulfilled.
//!
//! Obligations of different roots do not meet, so that each is followed by itself: up
//! from the function that patches, through every caller that may return with it.

use super::model::FunctionRole;
use super::subject::Subject;
use super::syncs::{Effect, Syncs};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Bits, Lattice as _, solve};
use crate::program::{Block, CallKind, CallSite, Exit, FuncId, Insn};
use foldhash::{HashMap, HashMapExt as _};

/// A way leads here on which code was patched and nobody synchronised since.
pub(super) const PENDING: Bits = Bits(1);
/// A synchronisation lies on the way.
const SYNCED: Bits = Bits(2);
/// Code was patched behind a synchronisation.
pub(super) const LATE: Bits = Bits(4);
/// An ISB stands behind the patch, on this CPU alone.
pub(super) const LOCAL: Bits = Bits(8);

/// A function that patches, and how.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) function: FuncId,
    /// The calls that patch, by address.
    pub(super) sites: Vec<(Svma, FuncId)>,
    /// Whether existing code is patched; else some was written and caches maintained.
    pub(super) patches: bool,
}

/// Where the obligation of one root goes.
#[derive(Debug)]
pub(super) struct Reach {
    /// Functions that may return with it, each with the call by which it got it, in the
    /// order in which they were found: nearer ones first.
    pub(super) functions: Vec<(FuncId, Option<CallSite>)>,
    /// What holds where the root returns.
    pub(super) at_root: Bits,
    /// Whether there were more functions than are followed.
    pub(super) is_cut: bool,
}

/// The functions that patch or maintain, by address.
pub(super) fn roots(subject: &Subject<'_, '_>) -> Vec<Root> {
    let program = &subject.program;
    let is_source = |id: &FuncId| {
        matches!(
            subject.role(*id),
            Some(FunctionRole::Patches | FunctionRole::Writes | FunctionRole::Maintains)
        )
    };
    let mut roots: HashMap<FuncId, Root> = HashMap::new();
    for source in program.ids().filter(is_source) {
        let patches = subject.role(source) != Some(FunctionRole::Maintains);
        for call in program.callers(source) {
            if !may_be_root(subject, call.caller) {
                continue;
            }
            let root = roots.entry(call.caller).or_insert_with(|| Root {
                function: call.caller,
                sites: Vec::new(),
                patches: false,
            });
            root.sites.push((call.at, source));
            root.patches |= patches;
        }
    }
    // Who makes text of the file itself writable changes code that others may execute.
    for call in subject.protections().iter().filter(|call| call.is_own_text) {
        if let Some(root) = roots.get_mut(&call.function) {
            root.patches = true;
        }
    }
    let mut roots: Vec<Root> = roots.into_values().collect();
    roots.sort_by_key(|root| root.function);
    roots.iter_mut().for_each(|root| root.sites.sort_unstable());
    roots
}

/// What models call a primitive is none itself.
fn may_be_root(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    matches!(
        subject.role(id),
        None | Some(FunctionRole::Tolerated | FunctionRole::BootOnly | FunctionRole::NoReturn)
    )
}

/// Follows the obligation of `root` up through at most `limit` functions.
pub(super) fn reach(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    limit: usize,
    given_up: &mut usize,
) -> Reach {
    let mut known: HashMap<FuncId, ()> = HashMap::new();
    let mut reach = Reach { functions: Vec::new(), at_root: Bits::NONE, is_cut: false };
    let Some(at_root) = at_return(subject, syncs, root, &known, root.function, given_up) else {
        return reach;
    };
    reach.at_root = at_root;
    if !at_root.meets(PENDING) {
        return reach;
    }
    known.insert(root.function, ());
    reach.functions.push((root.function, None));
    let mut next = 0;
    while let Some((callee, _)) = reach.functions.get(next).copied() {
        next += 1;
        let mut calls: Vec<CallSite> = subject.program.callers(callee).collect();
        calls.sort_by_key(|call| (call.caller, call.at));
        calls.dedup_by_key(|call| call.caller);
        for call in calls {
            if known.contains_key(&call.caller) || stops_at(subject, call.caller) {
                continue;
            }
            let state = at_return(subject, syncs, root, &known, call.caller, given_up);
            if state.is_some_and(|state| state.meets(PENDING)) {
                known.insert(call.caller, ());
                reach.functions.push((call.caller, Some(call)));
            }
        }
        if reach.functions.len() >= limit {
            reach.is_cut = true;
            break;
        }
    }
    reach
}

/// Functions that hand no obligation on: what runs before other CPUs do, and what
/// synchronises itself.
fn stops_at(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    matches!(
        subject.role(id),
        Some(FunctionRole::BootOnly | FunctionRole::PatchesAndSyncs | FunctionRole::Syncs)
    )
}

/// What holds where `id` returns, calls to functions in `known` being made; `None` if it
/// never returns.
fn at_return(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    known: &HashMap<FuncId, ()>,
    id: FuncId,
    given_up: &mut usize,
) -> Option<Bits> {
    let cfg = subject.cfg(id);
    let analysis = Pending { subject, syncs, root, known, id };
    let Ok(before) = solve(&cfg, &analysis) else {
        *given_up += 1;
        // Nothing is known: it may.
        return Some(PENDING);
    };
    let mut all: Option<Bits> = None;
    for (block, state) in cfg.blocks.iter().zip(before) {
        let Some(mut state) = state else { continue };
        if block.exits.is_empty() {
            continue;
        }
        analysis.transfer(block, &mut state);
        for exit in &block.exits {
            let mut there = state;
            if let Exit::TailCall { at, to } = exit {
                analysis.call(*to, *at, &mut there);
            }
            all.get_or_insert(Bits::NONE).join(&there);
        }
    }
    all
}

struct Pending<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a Syncs,
    root: &'a Root,
    known: &'a HashMap<FuncId, ()>,
    id: FuncId,
}

impl Pending<'_, '_, '_> {
    fn call(&self, callee: FuncId, at: Svma, state: &mut Bits) {
        let effect = self.syncs.effect(self.subject, self.id, callee, at);
        let is_own =
            self.id == self.root.function && self.root.sites.iter().any(|(site, _)| *site == at);
        match effect {
            Effect::Syncs => *state = SYNCED,
            Effect::Patches | Effect::Maintains if is_own => {
                if state.meets(SYNCED) {
                    state.join(&LATE);
                }
                *state = Bits(state.0 & !LOCAL.0);
                state.join(&PENDING);
            }
            _ => {}
        }
        if self.known.contains_key(&callee) {
            *state = Bits(state.0 & !LOCAL.0);
            state.join(&PENDING);
        }
    }
}

impl Analysis for Pending<'_, '_, '_> {
    type State = Bits;

    fn entry(&self) -> Bits {
        Bits::NONE
    }

    fn transfer(&self, block: &Block, state: &mut Bits) {
        for event in &self.subject.program.events()[block.events.clone()] {
            match event.insn {
                Insn::Call { to } => {
                    if let Some(callee) = self.subject.program.function_at(to) {
                        self.call(callee, event.at, state);
                    }
                }
                Insn::SupervisorCall if self.syncs.is_sync_core(event.at) => *state = SYNCED,
                Insn::Barrier(crate::program::Barrier::Isb) if state.meets(PENDING) => {
                    state.join(&LOCAL);
                }
                _ => {}
            }
        }
    }
}

/// How a call is known, as findings say it.
pub(super) const fn evidence(kind: CallKind) -> super::finding::Evidence {
    match kind {
        CallKind::Call => super::finding::Evidence::Call,
        CallKind::Tail => super::finding::Evidence::TailCall,
    }
}
