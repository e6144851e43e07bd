//! The obligation to synchronise: who makes it, and which functions return with it.
//!
//! On a way through a function it is none, pending from some of the places that patch, or
//! fulfilled; where ways meet, all of them may hold. Obligations of different roots do not
//! meet, so that each is followed by itself ([`super::reach`]).

use super::executable_memory;
use super::model::FunctionRole;
use super::registers::FunctionBody;
use super::subject::Subject;
use super::syncs::{Effect, Syncs};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Bits, Lattice as _, StepsExceeded, at_exits, solve};
use crate::program::{Barrier, Block, Cfg, Exit, FuncId, Insn};
use foldhash::{HashMap, HashMapExt as _};
use std::cell::RefCell;
use std::rc::Rc;

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
    /// Stores into memory that was made executable, and calls that copy there, by address.
    pub(super) stores: Vec<Svma>,
    /// Whether existing code is patched; else some was written and caches maintained.
    pub(super) patches: bool,
    /// Whether that existing code is patched is no more than supposed ([`super::executable_memory`]).
    pub(super) is_supposed: bool,
}

impl Root {
    const fn new(function: FuncId) -> Self {
        Self { function, sites: Vec::new(), stores: Vec::new(), patches: false, is_supposed: false }
    }
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
            let root = roots.entry(call.caller).or_insert_with(|| Root::new(call.caller));
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
    for stores in executable_memory::stores(subject) {
        if may_be_root(subject, stores.function) {
            let root = roots.entry(stores.function).or_insert_with(|| Root::new(stores.function));
            root.is_supposed = stores.is_supposed && !root.patches;
            (root.stores, root.patches) = (stores.places, true);
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

/// What may hold where a function returns.
#[derive(Debug, Clone, Default)]
pub(super) struct AtReturn {
    pub(super) flags: Bits,
    /// Instructions of the function that patch, or call what may return with a patch, from
    /// which a way without a synchronisation leads to the return; some [`MOST_SITES`] of them.
    pub(super) sites: Vec<Svma>,
}

/// What holds where `id` returns, calls to functions for which `may_return_pending` being
/// made; `None` if it never returns.
///
/// # Errors
/// If it takes too many steps.
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

/// Most places whose patches are told apart in one function; those beyond are counted as
/// the last of them, so that none is lost.
const MOST_SITES: usize = 64;

/// Flags, and the places that are pending by their number in `sites`.
struct Pending<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a Syncs,
    root: &'a Root,
    may_return_pending: &'a dyn Fn(FuncId) -> bool,
    id: FuncId,
    cfg: Rc<Cfg>,
    /// Places that were found to patch, in no order.
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

    /// Code was patched at `at`, or by what is called there.
    fn pend(&self, at: Svma, (flags, pending): &mut (Bits, Bits)) {
        *flags = Bits(flags.0 & !LOCAL.0);
        flags.join(&PENDING);
        pending.join(&Bits::one(self.number(at)));
    }

    /// The stores of the root that lie in a block.
    fn stores_in(&self, block: &Block) -> &[Svma] {
        if self.id != self.root.function || self.root.stores.is_empty() {
            return &[];
        }
        let body = FunctionBody { program: &self.subject.program, cfg: &self.cfg, id: self.id };
        let first = self.root.stores.partition_point(|at| *at < block.start);
        let stores = &self.root.stores[first..];
        &stores[..stores.partition_point(|at| *at < body.end(block))]
    }

    /// The number of a place that patches.
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
            // A call that copies has its place as its event has.
            while let Some(at) = stores.next_if(|at| *at <= event.at) {
                self.patch(at, state);
            }
            match event.insn {
                Insn::Call { to } => {
                    if let Some(callee) = self.subject.program.function_at(to) {
                        self.call(callee, event.at, state);
                    }
                }
                Insn::SupervisorCall if self.syncs.is_sync_core(event.at) => {
                    *state = (SYNCED, Bits::NONE);
                }
                Insn::Barrier(Barrier::Isb) if state.0.meets(PENDING) => {
                    state.0.join(&LOCAL);
                }
                _ => {}
            }
        }
        stores.for_each(|at| self.patch(at, state));
    }
}
