//! Control flow of one function: basic blocks and their successors.

use super::function::FuncId;
use super::recovered::{BranchTable, RecoveredProgram, tables_in};
use super::scan::Event;
use crate::addr::Svma;
use crate::semantics::{Control, INSN_BYTES, Register};
use jlctl_shim::insn::aarch64;
use std::ops::Range;

/// Dense index of a block of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub(crate) u32);

impl BlockId {
    /// The index into [`Cfg::blocks`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An edge that leaves the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Returns to the caller.
    Return {
        /// Address of the instruction.
        at: Svma,
    },
    /// Continues in another function, which returns to the caller.
    TailCall {
        /// Address of the instruction.
        at: Svma,
        /// The other function.
        to: FuncId,
    },
    /// A BR whose target is unknown.
    Unknown {
        /// Address of the instruction.
        at: Svma,
    },
}

/// A basic block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Address of its first instruction.
    pub start: Svma,
    /// Indexes of its events in the program.
    pub events: Range<usize>,
    /// The blocks that may follow.
    pub successors: Vec<BlockId>,
    /// Edges that leave the function. A conditional tail call has both a successor and an exit.
    pub exits: Vec<Exit>,
}

/// The blocks of a function, by address. The first block is the entry.
#[derive(Debug, Default)]
pub struct Cfg {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// Whether some edges are a guess: the end of a branch table is unknown, or a BR without a
    /// table is taken to lead to the blocks without another predecessor.
    pub has_guessed_edges: bool,
}

impl Cfg {
    /// Builds the control flow of `function`.
    #[must_use]
    pub fn new(program: &RecoveredProgram<'_>, function: FuncId) -> Self {
        let tables = program.branch_tables();
        let mut cfg = Self::with_tables(program, function, tables);
        cfg.guess_jumps(program, tables, program.function(function).range.end());
        cfg
    }

    /// Builds the control flow of `function`, with edges for the BRs in `tables` only. `tables`
    /// are sorted by address.
    pub(super) fn with_tables(
        program: &RecoveredProgram<'_>,
        function: FuncId,
        tables: &[BranchTable],
    ) -> Self {
        let f = program.function(function);
        let leaders = leaders(program, function, tables);
        let mut cfg = Self { blocks: Vec::with_capacity(leaders.len()), has_guessed_edges: false };
        for (index, start) in leaders.iter().enumerate() {
            let end = leaders.get(index + 1).copied().unwrap_or(f.range.end());
            cfg.blocks.push(block(program, function, &leaders, *start, end));
        }
        let jumps: Vec<(usize, Svma, Register)> = cfg.jumps(program).collect();
        for (index, at, _) in jumps {
            let Some(table) = tables_in(tables, at) else { continue };
            let block = &mut cfg.blocks[index];
            for to in &table.targets {
                add_edge(program, block, &leaders, f.range.contains(*to), at, *to);
            }
            cfg.has_guessed_edges |= table.is_guess;
        }
        cfg
    }

    /// The blocks that end in a BR, with the address and the register of the BR.
    pub(super) fn jumps(
        &self,
        program: &RecoveredProgram<'_>,
    ) -> impl Iterator<Item = (usize, Svma, Register)> {
        self.blocks.iter().enumerate().filter_map(|(index, block)| {
            match program.events()[block.events.clone()].last()? {
                Event { at, control: Control::JumpRegister { register } } => {
                    Some((index, *at, *register))
                }
                _ => None,
            }
        })
    }

    /// The index of the block that contains the instruction at `at`; `None` before the first
    /// block.
    #[must_use]
    pub fn block_at(&self, at: Svma) -> Option<usize> {
        self.blocks.partition_point(|block| block.start <= at).checked_sub(1)
    }

    /// For each block that is reachable from the entry, whether it leads to an exit.
    #[must_use]
    pub fn leads_to_exit(&self) -> Vec<bool> {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.blocks.len()];
        let mut is_reached = vec![false; self.blocks.len()];
        let mut queue: Vec<usize> = (0..self.blocks.len().min(1)).collect();
        queue.iter().for_each(|index| is_reached[*index] = true);
        while let Some(index) = queue.pop() {
            for next in self.blocks[index].successors.iter().map(|next| next.index()) {
                before[next].push(index);
                if !std::mem::replace(&mut is_reached[next], true) {
                    queue.push(next);
                }
            }
        }
        let is_exit = |index: &usize| is_reached[*index] && !self.blocks[*index].exits.is_empty();
        let mut leads = vec![false; self.blocks.len()];
        queue.extend((0..self.blocks.len()).filter(is_exit));
        queue.iter().for_each(|index| leads[*index] = true);
        while let Some(index) = queue.pop() {
            for from in &before[index] {
                if !std::mem::replace(&mut leads[*from], true) {
                    queue.push(*from);
                }
            }
        }
        leads
    }

    /// Whether a path of at least one edge leads from one block to another.
    pub(crate) fn has_path(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.blocks.len()];
        let mut stack = vec![from];
        while let Some(block) = stack.pop() {
            for next in &self.blocks[block].successors {
                if next.index() == to {
                    return true;
                }
                if !std::mem::replace(&mut seen[next.index()], true) {
                    stack.push(next.index());
                }
            }
        }
        false
    }

    /// Adds the edges of the BRs without a table. Such a BR leads to the blocks without another
    /// predecessor; if there are none, it leaves the function.
    fn guess_jumps(&mut self, program: &RecoveredProgram<'_>, tables: &[BranchTable], end: Svma) {
        let jumps: Vec<(usize, Svma)> = self
            .jumps(program)
            .filter(|(_, at, _)| tables_in(tables, *at).is_none())
            .map(|(block, at, _)| (block, at))
            .collect();
        if jumps.is_empty() {
            return;
        }
        let mut is_reached = vec![false; self.blocks.len()];
        if let Some(first) = is_reached.first_mut() {
            *first = true;
        }
        for block in &self.blocks {
            block.successors.iter().for_each(|next| is_reached[next.index()] = true);
        }
        let end = |index: usize| self.blocks.get(index + 1).map_or(end, |next| next.start);
        let orphans: Vec<BlockId> = (0u32..)
            .map(BlockId)
            .zip(&is_reached)
            .filter(|(_, is_reached)| !**is_reached)
            .map(|(id, _)| id)
            .filter(|id| !is_padding(program, self.blocks[id.index()].start, end(id.index())))
            .collect();
        for (index, at) in jumps {
            let block = &mut self.blocks[index];
            if orphans.is_empty() {
                block.exits.push(Exit::Unknown { at });
            } else {
                block.successors.clone_from(&orphans);
                self.has_guessed_edges = true;
            }
        }
    }
}

/// Start addresses of the blocks of a function, sorted.
fn leaders(program: &RecoveredProgram<'_>, function: FuncId, tables: &[BranchTable]) -> Vec<Svma> {
    let range = program.function(function).range;
    let mut leaders = vec![range.start()];
    for event in program.events_of(function) {
        match event.control {
            Control::Jump { to } | Control::Branch { to, .. } => leaders.push(to),
            Control::JumpRegister { .. } => {
                let table = tables_in(tables, event.at);
                leaders.extend(table.iter().flat_map(|table| &table.targets));
            }
            _ => {}
        }
        if event.control.ends_block() || program.never_returns(event) {
            leaders.push(event.at.wrapping_add(INSN_BYTES));
        }
    }
    leaders.retain(|leader| range.contains(*leader));
    leaders.sort_unstable();
    leaders.dedup();
    leaders
}

fn block(
    program: &RecoveredProgram<'_>,
    function: FuncId,
    leaders: &[Svma],
    start: Svma,
    end: Svma,
) -> Block {
    let range = program.function(function).range;
    let events = program.events_between(start, end);
    let last = program.events()[events.clone()].last().copied();
    let last = last.filter(|event| event.at.wrapping_add(INSN_BYTES) == end);
    let mut block = Block { start, events, successors: Vec::new(), exits: Vec::new() };
    let mut falls_through = true;
    if let Some(event) = last {
        let at = event.at;
        match event.control {
            Control::Jump { to } => {
                falls_through = false;
                add_edge(program, &mut block, leaders, range.contains(to), at, to);
            }
            Control::Branch { to, .. } => {
                add_edge(program, &mut block, leaders, range.contains(to), at, to);
            }
            Control::Return => {
                falls_through = false;
                block.exits.push(Exit::Return { at });
            }
            Control::JumpRegister { .. } | Control::ExceptionReturn | Control::Trap => {
                falls_through = false;
            }
            _ => falls_through = !program.never_returns(&event),
        }
    }
    if falls_through {
        let at = end.wrapping_offset(-INSN_BYTES.cast_signed());
        add_edge(program, &mut block, leaders, range.contains(end), at, end);
    }
    block.successors.dedup();
    block
}

/// Whether only NOPs and zero words are between two addresses: the padding up to the next
/// function.
fn is_padding(program: &RecoveredProgram<'_>, start: Svma, end: Svma) -> bool {
    let mut at = start;
    while at < end {
        if !matches!(program.word(at), Some(aarch64::NOP | 0)) {
            return false;
        }
        at = at.wrapping_add(INSN_BYTES);
    }
    true
}

/// Adds the edge of a branch, to a block of the function or to another function.
fn add_edge(
    program: &RecoveredProgram<'_>,
    block: &mut Block,
    leaders: &[Svma],
    is_inside: bool,
    at: Svma,
    to: Svma,
) {
    if is_inside {
        if let Ok(index) = leaders.binary_search(&to) {
            block.successors.push(BlockId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
    } else if let Some(to) = program.function_at(to) {
        block.exits.push(Exit::TailCall { at, to });
    }
}
