//! Propagation of an obligation: from the function that patches up through every caller that may
//! return with the obligation.

use super::model::FunctionRole;
use super::obligation::{AtReturn, PENDING, Root, at_return, at_return_without_sync};
use super::paths::{Callees, Outcomes, guards, may_skip, outcomes};
use super::subject::Subject;
use super::syncs::{Guard, Syncs};
use crate::addr::Svma;
use crate::dataflow::{StepsExceeded, Summaries, summarize};
use crate::program::{CallSite, FuncId};
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use std::cell::RefCell;
use std::rc::Rc;

/// The functions that the obligation of one root reaches.
#[derive(Debug)]
pub(super) struct Reach {
    /// Functions that may return with the obligation, nearest first, each with the call from
    /// which it got the obligation.
    pub(super) functions: Vec<(FuncId, Option<CallSite>)>,
    /// The number of leading functions that are certain. The others depend on a function whose
    /// analysis was given up.
    pub(super) certain: usize,
    /// The state where the root returns.
    pub(super) at_root: AtReturn,
    /// Whether the limit of functions was reached.
    pub(super) is_truncated: bool,
}

impl Reach {
    /// Whether a function returns with the obligation independently of analyses that were given
    /// up.
    pub(super) fn is_certain(&self, id: FuncId) -> bool {
        self.functions.iter().take(self.certain).any(|(known, _)| *known == id)
    }
}

/// Propagates the obligation of `root`, until `limit` functions have it or no caller is left.
pub(super) fn reach(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    limit: usize,
    given_up: &mut usize,
) -> Reach {
    let mut returns = MayReturn {
        subject,
        syncs,
        root,
        limit,
        known: HashMap::new(),
        given_up: HashSet::new(),
        outcomes: RefCell::default(),
    };
    let order = subject.call_order();
    summarize(&subject.program, order, [root.function], &mut returns);
    *given_up += returns.given_up.len();
    let is_truncated = returns.is_enough();
    let at_root = returns.known.get(&root.function).cloned().unwrap_or_default();
    let (functions, certain) = returns.nearest_first();
    Reach { functions, certain, at_root, is_truncated }
}

/// Whether a function does not pass the obligation on, because it runs before the other CPUs are
/// started or synchronises itself.
fn stops_at(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    matches!(
        subject.role(id),
        Some(FunctionRole::BootOnly | FunctionRole::PatchesAndSyncs | FunctionRole::Syncs)
    )
}

/// The summary "may return with the obligation of the root".
struct MayReturn<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    syncs: &'a Syncs,
    root: &'a Root,
    limit: usize,
    known: HashMap<FuncId, AtReturn>,
    /// Functions whose analysis was given up. They are taken to return with the obligation.
    given_up: HashSet<FuncId>,
    /// Effects of functions in finished components, computed on demand.
    outcomes: RefCell<HashMap<FuncId, Option<Rc<Outcomes>>>>,
}

impl Summaries for MayReturn<'_, '_, '_> {
    fn evaluate(&mut self, id: FuncId) -> bool {
        let is_root = id == self.root.function;
        if self.known.contains_key(&id) || !is_root && stops_at(self.subject, id) {
            return false;
        }
        let Ok(state) = self.solve(id) else { return self.give_up(id) };
        let Some(state) = state.filter(|state| state.flags.meets(PENDING)) else { return false };
        if self.is_fulfilled_where_pending(id) {
            return false;
        }
        self.known.insert(id, state);
        true
    }

    fn give_up(&mut self, id: FuncId) -> bool {
        if self.known.contains_key(&id) {
            return false;
        }
        let calls = self.subject.program.calls_of(id).iter();
        let sites = calls.filter(|call| self.known.contains_key(&call.callee));
        let sites = sites.map(|call| call.at).collect();
        self.known.insert(id, AtReturn { flags: PENDING, sites });
        self.given_up.insert(id)
    }

    fn is_enough(&self) -> bool {
        self.known.len() >= self.limit
    }
}

impl MayReturn<'_, '_, '_> {
    fn solve(&self, id: FuncId) -> Result<Option<AtReturn>, StepsExceeded> {
        let may = |callee: FuncId| self.known.contains_key(&callee);
        if id != self.root.function && !self.syncs.may_sync(self.subject, id) {
            return Ok(Some(at_return_without_sync(self.subject, &may, id)));
        }
        at_return(self.subject, self.syncs, self.root, &may, id)
    }

    /// Whether no path on which the obligation is pending leads to the return, although other
    /// paths do.
    fn is_fulfilled_where_pending(&self, id: FuncId) -> bool {
        let callees = Detailed { known: self, below: self.component(id), depth: DEPTH };
        let outcomes = || outcomes(self.subject, self.syncs, self.root, &callees, id);
        // A tolerated root is a note with its reason anyway.
        self.subject.role(self.root.function) != Some(FunctionRole::Tolerated)
            && may_skip(self.subject, self.syncs, id)
            && outcomes().is_ok_and(|outcomes| outcomes.pending.is_none())
    }

    fn component(&self, id: FuncId) -> u32 {
        self.subject.call_order().component(id)
    }

    /// The instructions from which a function returns with the obligation.
    fn sites(&self, id: FuncId) -> Vec<Svma> {
        let mut sites = self.known.get(&id).map_or_else(Vec::new, |state| state.sites.clone());
        // In a cycle, more may have become known since the function was evaluated.
        if self.subject.call_order().members(id).len() > 1
            && !self.given_up.contains(&id)
            && let Ok(Some(state)) = self.solve(id)
        {
            sites.extend(state.sites);
        }
        sites
    }

    /// The functions with the calls from which they got the obligation, and the number of those,
    /// at the front, that got it without a given-up analysis.
    fn nearest_first(&self) -> (Vec<(FuncId, Option<CallSite>)>, usize) {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut sites: HashMap<FuncId, Vec<Svma>> = HashMap::new();
        let root = self.root.function;
        if !self.known.contains_key(&root) {
            return (found, 0);
        }
        let mut certain = 0;
        for is_certain in [true, false] {
            let is_wanted = |id: &FuncId| !is_certain || !self.given_up.contains(id);
            if is_wanted(&root) && seen.insert(root) {
                found.push((root, None));
            }
            let mut next = 0;
            while let Some((callee, _)) = found.get(next).copied() {
                next += 1;
                let mut calls: Vec<CallSite> = self.subject.program.callers(callee).collect();
                calls.sort_by_key(|call| (call.caller, call.at));
                for call in calls {
                    let may = self.known.contains_key(&call.caller) && is_wanted(&call.caller);
                    if !may || seen.contains(&call.caller) {
                        continue;
                    }
                    let sites = sites.entry(call.caller).or_insert_with(|| self.sites(call.caller));
                    if sites.contains(&call.at) {
                        seen.insert(call.caller);
                        found.push((call.caller, Some(call)));
                    }
                }
            }
            if is_certain {
                certain = found.len();
            }
        }
        (found, certain)
    }
}

/// Depth of calls for which effects are computed.
const DEPTH: usize = 6;

/// The facts known about callees; in detail for callees in finished components.
struct Detailed<'a, 'b, 'c, 'data> {
    known: &'a MayReturn<'b, 'c, 'data>,
    /// The component of the caller.
    below: u32,
    depth: usize,
}

impl Callees for Detailed<'_, '_, '_, '_> {
    fn may_return_pending(&self, id: FuncId) -> bool {
        self.known.known.contains_key(&id)
    }

    fn outcomes(&self, id: FuncId) -> Option<Rc<Outcomes>> {
        let component = self.known.component(id);
        if component >= self.below || self.depth == 0 || self.known.given_up.contains(&id) {
            return None;
        }
        if let Some(known) = self.known.outcomes.borrow().get(&id) {
            return known.clone();
        }
        let callees = Detailed { known: self.known, below: component, depth: self.depth - 1 };
        let MayReturn { subject, syncs, root, .. } = self.known;
        let found = outcomes(subject, syncs, root, &callees, id).ok().map(Rc::new);
        self.known.outcomes.borrow_mut().insert(id, found.clone());
        found
    }

    fn guards(&self, id: FuncId) -> Rc<[Guard]> {
        guards(self.known.subject, self.known.syncs, id)
    }
}
