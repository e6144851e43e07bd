//! The values at every instruction of one function.

use super::state::ValueState;
use crate::addr::Svma;
use crate::dataflow::{Analysis, StepsExceeded, Successor, solve};
use crate::image::Image;
use crate::program::{Block, Cfg, Event, Exit, FuncId, RecoveredProgram};
use crate::semantics::{Control, INSN_BYTES, Operation, Test};

/// A function with the addresses of its instructions.
#[derive(Clone, Copy)]
pub struct FunctionBody<'a, 'data> {
    /// The program.
    pub program: &'a RecoveredProgram<'data>,
    /// The control flow of the function.
    pub cfg: &'a Cfg,
    /// The function.
    pub id: FuncId,
}

impl FunctionBody<'_, '_> {
    /// The end of a block.
    #[must_use]
    pub fn end(&self, block: &Block) -> Svma {
        let next = self.cfg.blocks.partition_point(|other| other.start <= block.start);
        let end = self.program.function(self.id).range.end();
        self.cfg.blocks.get(next).map_or(end, |next| next.start)
    }

    /// The instructions of a block, with their addresses. The target of a call is the resolved
    /// one, and a site of the jump table a branch.
    pub fn instructions(&self, block: &Block) -> impl Iterator<Item = (Svma, Operation)> {
        let (start, end) = (block.start, self.end(block));
        let mut events = self.program.events()[block.events.clone()].iter().peekable();
        let addresses = (0..end.0.saturating_sub(start.0) / INSN_BYTES)
            .map(move |index| start.wrapping_add(index * INSN_BYTES));
        addresses.map_while(move |at| {
            let event: Option<&Event> = events.next_if(|event| event.at == at);
            let operation = match event {
                Some(event) => Operation::Control(event.control),
                None => self.program.operation(at)?,
            };
            Some((at, operation))
        })
    }

    /// The test of the branch that ends `block`, and the target of the branch.
    #[must_use]
    pub fn branch(&self, block: &Block) -> Option<(Test, Svma)> {
        let last = self.program.events()[block.events.clone()].last()?;
        match last.control {
            Control::Branch { to, test } => Some((test, to)),
            _ => None,
        }
    }

    /// Whether the edge from `block` to `next` is that of a branch that is taken, and the test;
    /// `None` if the block does not end with a branch, or both edges lead to the same block.
    #[must_use]
    pub fn edge(&self, block: &Block, next: Successor) -> Option<(Test, bool)> {
        let (test, to) = self.branch(block)?;
        let end = self.end(block);
        let is_taken = match next {
            Successor::Block(next) => {
                let next = self.cfg.blocks[next.index()].start;
                if to == end {
                    return None;
                }
                next == to
            }
            Successor::Exit(Exit::TailCall { to: callee, .. }) => {
                let range = self.program.function(self.id).range;
                !range.contains(to) && self.program.function_at(to) == Some(callee)
            }
            Successor::Exit(_) => return None,
        };
        Some((test, is_taken))
    }
}

/// Computes the state at the entry of each block.
pub struct ValueAnalysis<'a, 'data> {
    /// The image, for constants.
    pub image: &'a Image<'data>,
    /// The function.
    pub body: FunctionBody<'a, 'data>,
}

impl Analysis for ValueAnalysis<'_, '_> {
    type State = ValueState;

    fn entry(&self) -> ValueState {
        ValueState::at_entry()
    }

    fn transfer(&self, block: &Block, state: &mut ValueState) {
        for (at, operation) in self.body.instructions(block) {
            state.execute(self.image, at, &operation);
        }
    }

    fn follow(&self, block: &Block, next: Successor, state: &mut ValueState) -> bool {
        self.body.edge(block, next).is_none_or(|(test, is_taken)| state.assume(test, is_taken))
    }
}

/// The solution for one function.
#[derive(Debug)]
pub struct FunctionValues {
    before: Vec<Option<ValueState>>,
}

impl FunctionValues {
    /// Solves a function.
    ///
    /// # Errors
    /// If the analysis exceeds its limit of steps.
    pub fn solve(image: &Image<'_>, body: FunctionBody<'_, '_>) -> Result<Self, StepsExceeded> {
        let before = solve(body.cfg, &ValueAnalysis { image, body })?;
        Ok(Self { before })
    }

    /// The state at the entry of a block, by its index; `None` if it is unreachable.
    #[must_use]
    pub fn at_block(&self, index: usize) -> Option<&ValueState> {
        self.before.get(index)?.as_ref()
    }

    /// The state before the instruction at `at`; `None` if it is unreachable.
    #[must_use]
    pub fn before(
        &self,
        image: &Image<'_>,
        body: FunctionBody<'_, '_>,
        at: Svma,
    ) -> Option<ValueState> {
        let index = body.cfg.block_at(at)?;
        let mut state = self.at_block(index)?.clone();
        let block = body.cfg.blocks.get(index)?;
        for (here, operation) in body.instructions(block).take_while(|(here, _)| *here < at) {
            state.execute(image, here, &operation);
        }
        Some(state)
    }
}
