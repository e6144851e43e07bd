//! Summaries of functions, by a worklist over the call graph. A component is finished before its
//! callers begin. Within a component the evaluation continues until no summary grows.

use super::components::CallOrder;
use crate::program::{FuncId, RecoveredProgram};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Summaries that grow as more becomes known about the callees of a function.
pub trait Summaries {
    /// Evaluates a function from the summaries of its callees. Returns whether the function's own
    /// summary has grown.
    fn evaluate(&mut self, id: FuncId) -> bool;

    /// Gives a function the summary that promises least, because its component has used up its
    /// evaluations. Returns whether the summary has grown.
    fn give_up(&mut self, id: FuncId) -> bool;

    /// Whether the result is complete, so that the evaluation may stop.
    fn is_enough(&self) -> bool {
        false
    }
}

/// Evaluations of a component for each of its functions. A summary grows once or twice, and a
/// function is evaluated again when the summary of a callee grows.
const PER_FUNCTION: usize = 16;
/// Evaluations that every component is allowed, whatever its size.
const EVALUATIONS: usize = 64;

/// Evaluates `seeds`, then the callers of every function whose summary grows. Returns the number
/// of functions that were given up.
pub fn summarize<S: Summaries>(
    program: &RecoveredProgram<'_>,
    order: &CallOrder,
    seeds: impl IntoIterator<Item = FuncId>,
    summaries: &mut S,
) -> usize {
    let callers = |id: FuncId, add: &mut dyn FnMut(FuncId)| {
        program.callers(id).for_each(|call| add(call.caller));
    };
    drive(program.functions().len(), &callers, order, seeds, summaries)
}

/// Calls back with each caller of a function.
type Callers<'a> = &'a dyn Fn(FuncId, &mut dyn FnMut(FuncId));

fn drive<S: Summaries>(
    functions: usize,
    callers: Callers<'_>,
    order: &CallOrder,
    seeds: impl IntoIterator<Item = FuncId>,
    summaries: &mut S,
) -> usize {
    let mut queue = Worklist {
        order,
        waiting: BinaryHeap::new(),
        is_waiting: vec![false; functions],
        added: 0,
    };
    seeds.into_iter().for_each(|id| queue.add(id));
    let (mut component, mut left, mut given_up) = (u32::MAX, 0, 0);
    while let Some(id) = queue.next().filter(|_| !summaries.is_enough()) {
        if component != order.component(id) {
            component = order.component(id);
            left = EVALUATIONS + PER_FUNCTION * order.members(id).len();
        }
        let grows = if left > 0 {
            left -= 1;
            summaries.evaluate(id)
        } else {
            given_up += 1;
            summaries.give_up(id)
        };
        if grows {
            callers(id, &mut |caller| queue.add(caller));
        }
    }
    given_up
}

/// The functions to evaluate, by component. Within a component the function that has waited
/// longest comes first.
struct Worklist<'a> {
    order: &'a CallOrder,
    waiting: BinaryHeap<Reverse<(u32, usize, FuncId)>>,
    is_waiting: Vec<bool>,
    added: usize,
}

impl Worklist<'_> {
    fn add(&mut self, id: FuncId) {
        if !std::mem::replace(&mut self.is_waiting[id.index()], true) {
            self.waiting.push(Reverse((self.order.component(id), self.added, id)));
            self.added += 1;
        }
    }

    fn next(&mut self) -> Option<FuncId> {
        let Reverse((_, _, id)) = self.waiting.pop()?;
        self.is_waiting[id.index()] = false;
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::components::tests::order_of;
    use super::*;
    use proptest::prelude::*;

    /// A number for each function, at most `most`: one more than the greatest number of its
    /// callees.
    struct CallDepth<'a> {
        edges: &'a [(u32, u32)],
        depth: Vec<usize>,
        most: usize,
        evaluated: Vec<u32>,
    }

    impl<'a> CallDepth<'a> {
        fn new(count: usize, edges: &'a [(u32, u32)], most: usize) -> Self {
            Self { edges, depth: vec![0; count], most, evaluated: Vec::new() }
        }

        fn solve(&mut self) -> usize {
            let count = self.depth.len();
            let order = order_of(count, self.edges);
            let edges = self.edges;
            let callers = move |id: FuncId, add: &mut dyn FnMut(FuncId)| {
                edges.iter().filter(|(_, to)| *to == id.0).for_each(|(from, _)| add(FuncId(*from)));
            };
            let all: Vec<FuncId> = (0..u32::try_from(count).unwrap()).map(FuncId).collect();
            drive(count, &callers, &order, all, self)
        }
    }

    impl Summaries for CallDepth<'_> {
        fn evaluate(&mut self, id: FuncId) -> bool {
            self.evaluated.push(id.0);
            let called = self.edges.iter().filter(|(from, _)| *from == id.0);
            let deepest = called.map(|(_, to)| self.depth[*to as usize]).max().unwrap_or(0);
            let depth = deepest.saturating_add(1).min(self.most);
            depth > std::mem::replace(&mut self.depth[id.index()], depth)
        }

        fn give_up(&mut self, id: FuncId) -> bool {
            self.most > std::mem::replace(&mut self.depth[id.index()], self.most)
        }
    }

    #[test]
    fn without_cycles_each_function_is_evaluated_once() {
        let edges = [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)];
        let mut depth = CallDepth::new(4, &edges, 100);
        assert_eq!(depth.solve(), 0);
        assert_eq!(depth.depth, [3, 2, 2, 1]);
        assert_eq!(depth.evaluated.len(), 4);
        assert_eq!((depth.evaluated[0], depth.evaluated[3]), (3, 0), "a callee comes first");
    }

    #[test]
    fn a_cycle_that_never_converges_is_given_up() {
        let edges = [(0, 1), (1, 0), (2, 0)];
        let mut depth = CallDepth::new(3, &edges, usize::MAX);
        assert_eq!(depth.solve(), 3, "both functions, and the first again after the second");
        assert_eq!(depth.evaluated.len(), EVALUATIONS + 2 * PER_FUNCTION + 1);
        assert_eq!(
            depth.depth,
            [usize::MAX; 3],
            "callers see the summary of a function that was given up"
        );
    }

    proptest! {
        /// If no function is given up, the result is the least fixpoint.
        #[test]
        fn summaries_are_fixpoints(
            edges in proptest::collection::vec((0u32..10, 0u32..10), 0..30),
        ) {
            let mut depth = CallDepth::new(10, &edges, 10);
            if depth.solve() > 0 {
                return Ok(());
            }
            let mut least = [1usize; 10];
            for _ in 0..100 {
                for (from, to) in &edges {
                    let (from, to) = (*from as usize, *to as usize);
                    least[from] = least[from].max((least[to] + 1).min(10));
                }
            }
            prop_assert_eq!(&depth.depth[..], least);
        }
    }
}
