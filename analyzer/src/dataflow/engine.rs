//! A forward analysis of one function by a worklist, blocks in reverse post-order.

use super::lattice::Lattice;
use crate::program::{Block, BlockId, Cfg, Exit};
use std::collections::BTreeSet;

/// A forward analysis.
pub trait Analysis {
    /// What it computes.
    type State: Lattice;

    /// What holds at the entry of the function.
    fn entry(&self) -> Self::State;

    /// Makes `state`, what holds before `block`, what holds behind it.
    fn transfer(&self, block: &Block, state: &mut Self::State);

    /// Makes `state`, what holds behind `block`, what holds on its way to `next`; whether
    /// that way can be gone.
    fn follow(&self, block: &Block, next: Successor, state: &mut Self::State) -> bool {
        let _ = (block, next, state);
        true
    }
}

/// Where a block goes on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// A block of the function.
    Block(BlockId),
    /// Out of the function.
    Exit(Exit),
}

/// A bound on the work was reached: nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {steps} steps in one function")]
pub struct StepsExceeded {
    /// The bound.
    pub steps: usize,
}

/// Steps for each block: a lattice whose chains are longer than this has none of the
/// functions here.
const STEPS_PER_BLOCK: usize = 200;
/// Steps that every function may take.
const STEPS: usize = 10_000;

/// What holds before each block; `None` for those that nothing leads to.
///
/// # Errors
/// If it takes too many steps.
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

/// What holds at each exit, by what holds before the blocks: the solution of `analysis`.
/// An exit that no way leads to is left out; what a tail call does is not yet in.
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

/// Blocks that the entry leads to, each before those that follow it but for loops.
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

    /// Which blocks a way from the entry passes.
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
    fn ways_meet() {
        let diamond = cfg(&[vec![1, 2], vec![3], vec![3], vec![], vec![3]]);
        let before = solve(&diamond, &Passed).unwrap();
        assert_eq!(before[3], Some(Bits(0b111)));
        assert_eq!(before[4], None, "nothing leads there");
    }

    #[test]
    fn exits_are_those_that_a_way_leads_to() {
        let mut diamond = cfg(&[vec![1, 2], vec![3], vec![], vec![], vec![]]);
        let exit = |at| Exit::Return { at: Svma(at) };
        diamond.blocks[2].exits = vec![exit(8)];
        diamond.blocks[3].exits = vec![exit(12), exit(13)];
        diamond.blocks[4].exits = vec![exit(16)];
        let before = solve(&diamond, &Passed).unwrap();
        let found: Vec<(Exit, Bits)> =
            at_exits(&diamond, &Passed, before).map(|(_, exit, state)| (exit, state)).collect();
        let expected = [(exit(8), Bits(0b101)), (exit(12), Bits(0b1011)), (exit(13), Bits(0b1011))];
        assert_eq!(found, expected, "the state behind the block, and none of the unreached");
    }

    /// As [`Passed`]; a way that has passed block 1 goes on only to even blocks, and none goes
    /// to the exit at 12.
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
    fn ways_that_cannot_be_gone_are_not() {
        let mut diamond = cfg(&[vec![1, 2], vec![3, 4], vec![3], vec![], vec![]]);
        diamond.blocks[3].exits =
            vec![Exit::Return { at: Svma(12) }, Exit::Return { at: Svma(13) }];
        let before = solve(&diamond, &Even).unwrap();
        assert_eq!((before[3], before[4]), (Some(Bits(0b101)), Some(Bits(0b11))));
        let exits: Vec<Exit> = at_exits(&diamond, &Even, before).map(|(_, exit, _)| exit).collect();
        assert_eq!(exits, [Exit::Return { at: Svma(13) }]);
    }

    proptest! {
        /// The result is a fixpoint, and no smaller one exists along any walk.
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
