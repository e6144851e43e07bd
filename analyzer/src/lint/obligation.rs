//! The obligation to synchronise: the functions that create it, and whether a function returns
//! with it.
//!
//! On a path through a function, the obligation does not exist, is pending from some of the
//! patches, or is fulfilled. Where paths meet, several of these may hold. The obligations of
//! different roots are independent, so each is followed on its own ([`super::reach`]).

use super::code_stores::CodeStore;
use super::model::FunctionRole;
use super::patch_evidence::{self, ExistingCode};
use super::primitive::Primitives;
use super::subject::Subject;
use super::syncs::{Effect, Syncs};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Bits, Lattice as _, StepsExceeded, at_exits, solve};
use crate::program::{Block, Cfg, Exit, FuncId};
use crate::semantics::{Barrier, CacheOp, Control};
use crate::values::FunctionBody;
use foldhash::{HashMap, HashMapExt as _};
use std::cell::RefCell;
use std::rc::Rc;

/// On some path to this point, code was patched and no synchronisation followed.
pub(super) const PENDING: Bits = Bits(1);
/// A synchronisation precedes this point on some path.
const SYNCED: Bits = Bits(2);
/// Code was patched after a synchronisation.
pub(super) const LATE: Bits = Bits(4);
/// An ISB follows the patch, on this CPU only.
pub(super) const LOCAL: Bits = Bits(8);

/// A function that patches, with its patches.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) function: FuncId,
    /// The calls that patch, by address.
    pub(super) sites: Vec<(Svma, FuncId)>,
    /// Stores to memory that was made executable, and calls that copy to it, by address.
    pub(super) stores: Vec<Svma>,
    /// Whether existing code is patched. Otherwise the function writes code and maintains caches.
    pub(super) patches: bool,
    /// The evidence that existing code is patched, in a program.
    pub(super) why: Option<ExistingCode>,
}

impl Root {
    const fn new(function: FuncId) -> Self {
        Self { function, sites: Vec::new(), stores: Vec::new(), patches: false, why: None }
    }
}

/// The functions that patch code or maintain caches, by address.
pub(super) fn roots(
    subject: &Subject<'_, '_>,
    primitives: &Primitives,
    code_stores: &[CodeStore],
) -> Vec<Root> {
    let program = &subject.program;
    let is_source = |id: &FuncId| {
        matches!(
            subject.role(*id),
            Some(FunctionRole::Patches | FunctionRole::Writes | FunctionRole::Maintains)
        ) || primitives.flushes(*id)
    };
    let mut roots: HashMap<FuncId, Root> = HashMap::new();
    for source in program.ids().filter(is_source) {
        let patches =
            matches!(subject.role(source), Some(FunctionRole::Patches | FunctionRole::Writes));
        for call in program.callers(source) {
            if !may_be_root(subject, primitives, call.caller) {
                continue;
            }
            let root = roots.entry(call.caller).or_insert_with(|| Root::new(call.caller));
            root.sites.push((call.at, source));
            root.patches |= patches;
        }
    }
    for id in program.ids().filter(|id| subject.maintains_inline(*id)) {
        let events = program.events_of(id).iter();
        let lines = events
            .filter(|event| matches!(event.control, Control::Cache(CacheOp::InvalidateInsn, _)));
        let root = roots.entry(id).or_insert_with(|| Root::new(id));
        root.stores = lines.map(|event| event.at).collect();
    }
    for patch in patch_evidence::patches(subject, primitives) {
        if may_be_root(subject, primitives, patch.function) {
            let root = roots.entry(patch.function).or_insert_with(|| Root::new(patch.function));
            root.stores.extend(patch.stores);
            root.stores.sort_unstable();
            root.stores.dedup();
            (root.patches, root.why) = (true, Some(patch.why));
        }
    }
    // A store without maintenance is a finding of its own (JL002).
    for store in code_stores {
        if may_be_root(subject, primitives, store.function) && subject.maintains(store.function) {
            let root = roots.entry(store.function).or_insert_with(|| Root::new(store.function));
            root.stores.push(store.at);
            root.patches = true;
        }
    }
    let mut roots: Vec<Root> = roots.into_values().collect();
    roots.sort_by_key(|root| root.function);
    roots.iter_mut().for_each(|root| root.sites.sort_unstable());
    roots
}

/// Whether a function may be a root. A function that a model names as a primitive is not,
/// nor is one that only passes its parameters on.
fn may_be_root(subject: &Subject<'_, '_>, primitives: &Primitives, id: FuncId) -> bool {
    let is_transparent = || primitives.is_transparent(id);
    matches!(
        subject.role(id),
        None | Some(FunctionRole::Tolerated | FunctionRole::BootOnly | FunctionRole::NoReturn)
    ) && !is_transparent()
}

/// The state where a function returns.
#[derive(Debug, Clone, Default)]
pub(super) struct AtReturn {
    pub(super) flags: Bits,
    /// Instructions that patch, or call a function that may return with a patch, from which a
    /// path without a synchronisation leads to the return; at most [`MOST_SITES`].
    pub(super) sites: Vec<Svma>,
}

/// The state where `id` returns, given the callees for which `may_return_pending` holds; `None`
/// if `id` never returns.
///
/// # Errors
/// If the analysis exceeds its limit of steps.
pub(super) fn at_return(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    may_return_pending: &dyn Fn(FuncId) -> bool,
    id: FuncId,
) -> Result<Option<AtReturn>, StepsExceeded> {
    let cfg = subject.cfg(id);
    let sites = RefCell::default();
    let analysis =
        Pending { subject, syncs, root, may_return_pending, id, cfg: Rc::clone(&cfg), sites };
    let before = solve(&cfg, &analysis)?;
    let mut all: Option<(Bits, Bits)> = None;
    for (_, exit, mut state) in at_exits(&cfg, &analysis, before) {
        if let Exit::TailCall { at, to } = exit {
            analysis.call(to, at, &mut state);
        }
        all.get_or_insert((Bits::NONE, Bits::NONE)).join(&state);
    }
    let known = analysis.sites.borrow();
    Ok(all.map(|(flags, sites)| AtReturn {
        flags,
        sites: sites.numbers().filter_map(|number| known.get(number).copied()).collect(),
    }))
}

/// As [`at_return`], for a function that neither patches by itself nor synchronises anywhere: it
/// returns with the obligation if a call that may return with it leads to an exit.
pub(super) fn at_return_without_sync(
    subject: &Subject<'_, '_>,
    may_return_pending: &dyn Fn(FuncId) -> bool,
    id: FuncId,
) -> AtReturn {
    let mut sites: Vec<Svma> = Vec::new();
    for call in subject.leading_calls(id).iter() {
        let is_new = !sites.contains(&call.at);
        if sites.len() < MOST_SITES && is_new && may_return_pending(call.callee) {
            sites.push(call.at);
        }
    }
    let flags = if sites.is_empty() { Bits::NONE } else { PENDING };
    AtReturn { flags, sites }
}

/// Patches that are distinguished in one function. Further ones share the last number, so none is
/// lost.
const MOST_SITES: usize = 64;

/// Computes the flags, and the numbers (in `sites`) of the pending patches.
struct Pending<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a Syncs,
    root: &'a Root,
    may_return_pending: &'a dyn Fn(FuncId) -> bool,
    id: FuncId,
    cfg: Rc<Cfg>,
    /// The instructions that patch, unsorted.
    sites: RefCell<Vec<Svma>>,
}

impl Pending<'_, '_, '_> {
    fn call(&self, callee: FuncId, at: Svma, state: &mut (Bits, Bits)) {
        let effect = self.syncs.effect(self.subject, self.id, callee, at);
        let is_own =
            self.id == self.root.function && self.root.sites.iter().any(|(site, _)| *site == at);
        match effect {
            Effect::Syncs => *state = (SYNCED, Bits::NONE),
            Effect::Patches | Effect::Maintains if is_own => {
                self.patch(at, state);
            }
            _ => {}
        }
        if (self.may_return_pending)(callee) {
            self.pend(at, state);
        }
    }

    /// Code is patched at `at`.
    fn patch(&self, at: Svma, state: &mut (Bits, Bits)) {
        if state.0.meets(SYNCED) {
            state.0.join(&LATE);
        }
        self.pend(at, state);
    }

    /// Code is patched at `at`, or by the function called there.
    fn pend(&self, at: Svma, (flags, pending): &mut (Bits, Bits)) {
        *flags = Bits(flags.0 & !LOCAL.0);
        flags.join(&PENDING);
        pending.join(&Bits::one(self.number(at)));
    }

    /// The stores of the root in a block.
    fn stores_in(&self, block: &Block) -> &[Svma] {
        if self.id != self.root.function || self.root.stores.is_empty() {
            return &[];
        }
        let body = FunctionBody { program: &self.subject.program, cfg: &self.cfg, id: self.id };
        let first = self.root.stores.partition_point(|at| *at < block.start);
        let stores = &self.root.stores[first..];
        &stores[..stores.partition_point(|at| *at < body.end(block))]
    }

    /// The number of the patch at `at`.
    fn number(&self, at: Svma) -> usize {
        let mut sites = self.sites.borrow_mut();
        let known = sites.iter().position(|site| *site == at);
        known.unwrap_or_else(|| {
            if sites.len() < MOST_SITES {
                sites.push(at);
            }
            sites.len() - 1
        })
    }
}

impl Analysis for Pending<'_, '_, '_> {
    type State = (Bits, Bits);

    fn entry(&self) -> Self::State {
        (Bits::NONE, Bits::NONE)
    }

    fn transfer(&self, block: &Block, state: &mut Self::State) {
        let mut stores = self.stores_in(block).iter().copied().peekable();
        for event in &self.subject.program.events()[block.events.clone()] {
            // A call that copies is both an event and a store, at the same address.
            while let Some(at) = stores.next_if(|at| *at <= event.at) {
                self.patch(at, state);
            }
            match event.control {
                Control::Call { to } => {
                    if let Some(callee) = self.subject.program.function_at(to) {
                        self.call(callee, event.at, state);
                    }
                }
                Control::SupervisorCall if self.syncs.is_sync_core(event.at) => {
                    *state = (SYNCED, Bits::NONE);
                }
                Control::Barrier(Barrier::Isb) if state.0.meets(PENDING) => {
                    state.0.join(&LOCAL);
                }
                _ => {}
            }
        }
        stores.for_each(|at| self.patch(at, state));
    }
}
