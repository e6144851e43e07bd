//! Forward analysis of one function, by a worklist of blocks in reverse post-order.

use super::lattice::Lattice;
use crate::program::{Block, BlockId, Cfg, Exit};
use std::collections::BTreeSet;

/// A forward analysis.
pub trait Analysis {
    /// The state that the analysis computes.
    type State: Lattice;

    /// The state at the entry of the function.
    fn entry(&self) -> Self::State;

    /// Transforms `state` from block entry to block exit.
    fn transfer(&self, block: &Block, state: &mut Self::State);

    /// Transforms `state` from the exit of `block` to the edge to `next`. Returns false if no
    /// execution follows the edge in this state.
    fn follow(&self, block: &Block, next: Successor, state: &mut Self::State) -> bool {
        let _ = (block, next, state);
        true
    }
}

/// The end of an edge that leaves a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// A block of the function.
    Block(BlockId),
    /// An exit of the function.
    Exit(Exit),
}

/// The analysis took too many steps and has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {steps} steps in one function")]
pub struct StepsExceeded {
    /// The limit that was exceeded.
    pub steps: usize,
}

/// Steps per block. The lattices used here have shorter chains.
const STEPS_PER_BLOCK: usize = 200;
/// Steps that every function is allowed, whatever its size.
const STEPS: usize = 10_000;

/// Computes the state at the entry of each block; `None` for an unreachable block.
///
/// # Errors
/// If the analysis exceeds its limit of steps.
pub fn solve<A: Analysis>(cfg: &Cfg, analysis: &A) -> Result<Vec<Option<A::State>>, StepsExceeded> {
    let order = reverse_post_order(cfg);
    let mut rank = vec![usize::MAX; cfg.blocks.len()];
    for (at, block) in order.iter().enumerate() {
        rank[block.index()] = at;
    }
    let mut before: Vec<Option<A::State>> = vec![None; cfg.blocks.len()];
    let mut queue = BTreeSet::new();
    if let Some(first) = before.first_mut() {
        *first = Some(analysis.entry());
        queue.insert(0);
    }
    let limit = STEPS + STEPS_PER_BLOCK * cfg.blocks.len();
    let mut steps = 0;
    while let Some(at) = queue.pop_first() {
        steps += 1;
        if steps > limit {
            return Err(StepsExceeded { steps: limit });
        }
        let block = &cfg.blocks[order[at].index()];
        let Some(mut state) = before[order[at].index()].clone() else { continue };
        analysis.transfer(block, &mut state);
        for next in &block.successors {
            let mut there = state.clone();
            if !analysis.follow(block, Successor::Block(*next), &mut there) {
                continue;
            }
            let grows = match &mut before[next.index()] {
                Some(known) => known.join(&there),
                unknown => {
                    *unknown = Some(there);
                    true
                }
            };
            if grows {
                queue.insert(rank[next.index()]);
            }
        }
    }
    Ok(before)
}

/// The state at each reachable exit, computed from `before`, the solution of `analysis`. The
/// state does not include the effect of a tail call.
pub fn at_exits<'a, A: Analysis>(
    cfg: &'a Cfg,
    analysis: &'a A,
    before: Vec<Option<A::State>>,
) -> impl Iterator<Item = (&'a Block, Exit, A::State)> {
    let leaving = cfg.blocks.iter().zip(before).filter(|(block, _)| !block.exits.is_empty());
    leaving.filter_map(|(block, state)| Some((block, state?))).flat_map(
        move |(block, mut state)| {
            analysis.transfer(block, &mut state);
            block.exits.iter().filter_map(move |exit| {
                let mut there = state.clone();
                let can_be = analysis.follow(block, Successor::Exit(*exit), &mut there);
                can_be.then_some((block, *exit, there))
            })
        },
    )
}

/// The blocks that are reachable from the entry. Each block precedes its successors, except along
/// the back edges of loops.
#[must_use]
pub fn reverse_post_order(cfg: &Cfg) -> Vec<BlockId> {
    let mut seen = vec![false; cfg.blocks.len()];
    let mut order = Vec::with_capacity(cfg.blocks.len());
    let mut stack: Vec<(BlockId, usize)> = Vec::new();
    if let Some(first) = seen.first_mut() {
        *first = true;
        stack.push((BlockId(0), 0));
    }
    while let Some((block, next)) = stack.last_mut() {
        let successor = cfg.blocks[block.index()].successors.get(*next).copied();
        *next += 1;
        match successor {
            Some(successor) => {
                if !std::mem::replace(&mut seen[successor.index()], true) {
                    stack.push((successor, 0));
                }
            }
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use super::super::lattice::Bits;
    use super::*;
    use crate::addr::Svma;
    use proptest::prelude::*;

    fn cfg(successors: &[Vec<u32>]) -> Cfg {
        let block = |(at, successors): (usize, &Vec<u32>)| Block {
            start: Svma(at as u64 * 4),
            events: at..at + 1,
            successors: successors.iter().copied().map(BlockId).collect(),
            exits: Vec::new(),
        };
        Cfg { blocks: successors.iter().enumerate().map(block).collect(), has_guessed_edges: false }
    }

    /// The set of blocks on the paths from the entry.
    struct Passed;

    impl Analysis for Passed {
        type State = Bits;

        fn entry(&self) -> Bits {
            Bits::NONE
        }

        fn transfer(&self, block: &Block, state: &mut Bits) {
            state.join(&Bits::one(block.events.start));
        }
    }

    #[test]
    fn paths_meet() {
        let diamond = cfg(&[vec![1, 2], vec![3], vec![3], vec![], vec![3]]);
        let before = solve(&diamond, &Passed).unwrap();
        assert_eq!(before[3], Some(Bits(0b111)));
        assert_eq!(before[4], None, "unreachable");
    }

    #[test]
    fn only_reachable_exits_have_a_state() {
        let mut diamond = cfg(&[vec![1, 2], vec![3], vec![], vec![], vec![]]);
        let exit = |at| Exit::Return { at: Svma(at) };
        diamond.blocks[2].exits = vec![exit(8)];
        diamond.blocks[3].exits = vec![exit(12), exit(13)];
        diamond.blocks[4].exits = vec![exit(16)];
        let before = solve(&diamond, &Passed).unwrap();
        let found: Vec<(Exit, Bits)> =
            at_exits(&diamond, &Passed, before).map(|(_, exit, state)| (exit, state)).collect();
        let expected = [(exit(8), Bits(0b101)), (exit(12), Bits(0b1011)), (exit(13), Bits(0b1011))];
        assert_eq!(found, expected, "the state at the end of the block, and no unreachable exit");
    }

    /// As [`Passed`], with infeasible edges: a path that has passed block 1 continues to even
    /// blocks only, and no path reaches the exit at 12.
    struct Even;

    impl Analysis for Even {
        type State = Bits;

        fn entry(&self) -> Bits {
            Passed.entry()
        }

        fn transfer(&self, block: &Block, state: &mut Bits) {
            Passed.transfer(block, state);
        }

        fn follow(&self, _: &Block, next: Successor, state: &mut Bits) -> bool {
            match next {
                Successor::Block(to) => !state.meets(Bits(0b10)) || to.index().is_multiple_of(2),
                Successor::Exit(exit) => exit != Exit::Return { at: Svma(12) },
            }
        }
    }

    #[test]
    fn infeasible_edges_are_not_followed() {
        let mut diamond = cfg(&[vec![1, 2], vec![3, 4], vec![3], vec![], vec![]]);
        diamond.blocks[3].exits =
            vec![Exit::Return { at: Svma(12) }, Exit::Return { at: Svma(13) }];
        let before = solve(&diamond, &Even).unwrap();
        assert_eq!((before[3], before[4]), (Some(Bits(0b101)), Some(Bits(0b11))));
        let exits: Vec<Exit> = at_exits(&diamond, &Even, before).map(|(_, exit, _)| exit).collect();
        assert_eq!(exits, [Exit::Return { at: Svma(13) }]);
    }

    proptest! {
        /// The result is a fixpoint, and it reaches exactly the blocks that are reachable.
        #[test]
        fn solutions_are_fixpoints(edges in proptest::collection::vec((0u32..12, 0u32..12), 0..40)) {
            let mut successors = vec![Vec::new(); 12];
            for (from, to) in edges {
                successors[from as usize].push(to);
            }
            let cfg = cfg(&successors);
            let before = solve(&cfg, &Passed).unwrap();
            for (at, block) in cfg.blocks.iter().enumerate() {
                let Some(mut state) = before[at] else { continue };
                Passed.transfer(block, &mut state);
                for next in &block.successors {
                    let mut known = before[next.index()].unwrap();
                    prop_assert!(!known.join(&state));
                }
            }
            prop_assert_eq!(
                before.iter().flatten().count(),
                reverse_post_order(&cfg).len()
            );
        }
    }
}
