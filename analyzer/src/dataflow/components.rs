//! Strongly connected components of the call graph, each after the components that it calls (R.
//! Tarjan, Depth-first search and linear graph algorithms, 1972; here without recursion).

use crate::program::{CallSite, FuncId, RecoveredProgram};

/// The component of each function.
///
/// Components are numbered in reverse topological order: a call leads to the caller's own
/// component or to one with a lower number.
#[derive(Debug, Default)]
pub struct CallOrder {
    component: Vec<u32>,
    /// Functions by component.
    members: Vec<FuncId>,
    /// Index of the first member of each component in `members`, and the end of the last
    /// component.
    starts: Vec<usize>,
}

impl CallOrder {
    /// Computes the components of `program` from its direct calls, in time linear in their
    /// number.
    #[must_use]
    pub fn of(program: &RecoveredProgram<'_>) -> Self {
        Self::new(program.functions().len(), program.calls())
    }

    /// Computes the components of `functions` functions from `calls`, which are sorted by caller.
    fn new(functions: usize, calls: &[CallSite]) -> Self {
        let mut search = Tarjan {
            calls,
            starts: starts(functions, calls),
            number: vec![UNSEEN; functions],
            lowlink: vec![0; functions],
            open: Vec::new(),
            next: 0,
            order: Self {
                component: vec![UNSEEN; functions],
                members: Vec::with_capacity(functions),
                starts: vec![0],
            },
        };
        for function in 0..functions {
            if search.number[function] == UNSEEN {
                search.from(function);
            }
        }
        search.order
    }

    /// The number of the component that holds a function.
    #[must_use]
    pub fn component(&self, id: FuncId) -> u32 {
        self.component[id.index()]
    }

    /// The functions in the component of a function, including the function itself.
    #[must_use]
    pub fn members(&self, id: FuncId) -> &[FuncId] {
        let component = self.component(id) as usize;
        &self.members[self.starts[component]..self.starts[component + 1]]
    }
}

/// The function has no number yet, or is in no component yet.
const UNSEEN: u32 = u32::MAX;

/// Index of the first call of each function, and the end of the calls of the last one.
fn starts(functions: usize, calls: &[CallSite]) -> Vec<usize> {
    let mut starts = vec![0; functions + 1];
    for call in calls {
        starts[call.caller.index() + 1] += 1;
    }
    for function in 0..functions {
        starts[function + 1] += starts[function];
    }
    starts
}

struct Tarjan<'a> {
    calls: &'a [CallSite],
    starts: Vec<usize>,
    /// The order in which the search reaches the functions.
    number: Vec<u32>,
    /// Tarjan's low-link: the lowest number that a function reaches through open functions.
    lowlink: Vec<u32>,
    /// Functions that are in no component yet.
    open: Vec<usize>,
    next: u32,
    order: CallOrder,
}

impl Tarjan<'_> {
    fn enter(&mut self, function: usize) {
        self.number[function] = self.next;
        self.lowlink[function] = self.next;
        self.next += 1;
        self.open.push(function);
    }

    fn from(&mut self, root: usize) {
        // The functions on the path of the search, each with its next call.
        let mut path = vec![(root, self.starts[root])];
        self.enter(root);
        while let Some((function, call)) = path.last_mut() {
            let function = *function;
            if *call < self.starts[function + 1] {
                let callee = self.calls[*call].callee.index();
                *call += 1;
                if self.number[callee] == UNSEEN {
                    path.push((callee, self.starts[callee]));
                    self.enter(callee);
                } else if self.order.component[callee] == UNSEEN {
                    self.lowlink[function] = self.lowlink[function].min(self.number[callee]);
                }
                continue;
            }
            path.pop();
            if let Some((caller, _)) = path.last() {
                self.lowlink[*caller] = self.lowlink[*caller].min(self.lowlink[function]);
            }
            if self.lowlink[function] == self.number[function] {
                self.close(function);
            }
        }
    }

    /// Makes a component of the open functions from `first` on.
    fn close(&mut self, first: usize) {
        let component = u32::try_from(self.order.starts.len() - 1).unwrap_or(UNSEEN);
        while let Some(function) = self.open.pop() {
            self.order.component[function] = component;
            self.order.members.push(FuncId(u32::try_from(function).unwrap_or(UNSEEN)));
            if function == first {
                break;
            }
        }
        self.order.starts.push(self.order.members.len());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::addr::Svma;
    use crate::program::CallKind;
    use proptest::prelude::*;

    /// The order of a graph of `count` functions.
    pub(in crate::dataflow) fn order_of(count: usize, edges: &[(u32, u32)]) -> CallOrder {
        let call = |(caller, callee): &(u32, u32)| CallSite {
            caller: FuncId(*caller),
            callee: FuncId(*callee),
            at: Svma(0),
            kind: CallKind::Call,
        };
        let mut calls: Vec<CallSite> = edges.iter().map(call).collect();
        calls.sort_by_key(|call| call.caller);
        CallOrder::new(count, &calls)
    }

    #[test]
    fn long_call_chains_need_no_recursion() {
        let count = 200_000;
        let edges: Vec<(u32, u32)> = (1..count).map(|at| (at - 1, at)).collect();
        let order = order_of(count as usize, &edges);
        assert_eq!(order.component(FuncId(count - 1)), 0, "a leaf comes first");
        assert_eq!(order.component(FuncId(0)), count - 1);
        let ring: Vec<(u32, u32)> = edges.into_iter().chain([(count - 1, 0)]).collect();
        assert_eq!(order_of(count as usize, &ring).members(FuncId(7)).len(), count as usize);
    }

    proptest! {
        /// Two functions are in one component if and only if each reaches the other, and no call
        /// leads to a component with a higher number.
        #[test]
        fn components_match_reachability(
            edges in proptest::collection::vec((0u32..14, 0u32..14), 0..40),
        ) {
            const COUNT: usize = 14;
            let mut reaches = [[false; COUNT]; COUNT];
            (0..COUNT).for_each(|at| reaches[at][at] = true);
            for (from, to) in &edges {
                reaches[*from as usize][*to as usize] = true;
            }
            for middle in 0..COUNT {
                for from in 0..COUNT {
                    for to in 0..COUNT {
                        reaches[from][to] |= reaches[from][middle] && reaches[middle][to];
                    }
                }
            }
            let order = order_of(COUNT, &edges);
            let id = |at: usize| FuncId(u32::try_from(at).unwrap());
            for (a, from_a) in reaches.iter().enumerate() {
                let both = (0..COUNT).filter(|b| from_a[*b] && reaches[*b][a]);
                prop_assert_eq!(order.members(id(a)).len(), both.clone().count());
                for b in both {
                    prop_assert_eq!(order.component(id(a)), order.component(id(b)));
                }
            }
            for (from, to) in edges {
                prop_assert!(order.component(FuncId(to)) <= order.component(FuncId(from)));
            }
        }
    }
}
