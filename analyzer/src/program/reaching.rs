//! The value of a register at a BR, over all paths that lead there.

use super::cfg::{BlockId, Cfg};
use super::recovered::RecoveredProgram;
use super::symbolic_value::{Storage, SymbolicValue};
use super::trace::Trace;
use crate::addr::{AddrRange, Svma};
use crate::image::Image;
use crate::semantics::{Control, INSN_BYTES, Operation, Test};
use foldhash::{HashMap, HashMapExt as _};
use std::cell::{Cell, RefCell};

/// Blocks that are followed backward from a BR while each has one predecessor.
const PATH: usize = 16;
/// Average number of times that an instruction of a function may be visited.
const TIMES: u64 = 32;
/// Visits that every function is allowed, whatever its size.
const LEAST: u64 = 10_000;

/// The instructions of a function, and the work that its analysis may still do. An instruction
/// that is executed and a query that is answered, from a cache too, are one unit each.
pub(super) struct Instructions {
    range: AddrRange,
    operations: Vec<Operation>,
    left: Cell<u64>,
    is_complete: Cell<bool>,
}

impl Instructions {
    /// The instructions of a function, whose addresses are `range`.
    pub(super) fn new(program: &RecoveredProgram<'_>, range: AddrRange) -> Self {
        let operations = program.operations(range.start(), range.end());
        let operations: Vec<Operation> = operations.map(|(_, operation)| operation).collect();
        let left = Cell::new(operations.len() as u64 * TIMES + LEAST);
        Self { range, operations, left, is_complete: Cell::new(true) }
    }

    /// Whether the work sufficed for all answers.
    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete.get()
    }

    /// The instructions from `start` up to, not including, `end`.
    fn between(&self, start: Svma, end: Svma) -> &[Operation] {
        let index = |at: Svma| {
            let index = at.0.saturating_sub(self.range.start().0) / INSN_BYTES;
            usize::try_from(index).unwrap_or(usize::MAX)
        };
        let end = index(end).min(self.operations.len());
        self.operations.get(index(start)..end).unwrap_or_default()
    }

    /// Takes `units` of work; `None` if they are not left.
    fn charge(&self, units: usize) -> Option<()> {
        let left = self.left.get().checked_sub(units as u64);
        self.is_complete.set(self.is_complete.get() && left.is_some());
        self.left.set(left?);
        Some(())
    }
}

/// A block entry, and a storage location there.
type Query = (usize, Storage);

/// The control flow of a function, followed backward.
pub(super) struct Flow<'a, 'data> {
    instructions: &'a Instructions,
    image: &'a Image<'data>,
    cfg: &'a Cfg,
    before: Vec<Vec<usize>>,
    /// The constant at each location, as far as known.
    constants: RefCell<HashMap<Query, PathValue>>,
    /// The answer at the exit of a block, for each storage location.
    at_exit: RefCell<HashMap<(usize, Storage), Option<BlockAnswer>>>,
}

impl<'a, 'data> Flow<'a, 'data> {
    /// Analyses `cfg`, whose instructions are `instructions`. The blocks without a known
    /// predecessor are the possible targets of the BRs in the blocks `open`.
    pub(super) fn new(
        instructions: &'a Instructions,
        image: &'a Image<'data>,
        cfg: &'a Cfg,
        open: &[usize],
    ) -> Self {
        let before = before(cfg, open);
        let (constants, at_exit) = (RefCell::default(), RefCell::default());
        Self { instructions, image, cfg, before, constants, at_exit }
    }

    fn end_of(&self, block: usize) -> Svma {
        let end = self.instructions.range.end();
        self.cfg.blocks.get(block + 1).map_or(end, |next| next.start)
    }

    /// The blocks that every path to `block` passes, in order; `block` is the last.
    pub(super) fn path_to(&self, block: usize) -> Vec<usize> {
        let mut path = vec![block];
        while path.len() < PATH
            && let Some(&first) = path.last()
            && let [from] = self.before[first][..]
            && first != 0
            && from < self.cfg.blocks.len()
            && !path.contains(&from)
        {
            path.push(from);
        }
        path.reverse();
        path
    }

    /// The state at the end of `path`, before its last jump.
    pub(super) fn along(&self, path: &[usize]) -> Option<Trace<'a, 'data>> {
        let mut trace = Trace::new(self.image);
        for (step, block) in path.iter().enumerate() {
            match path.get(step + 1) {
                Some(next) => self.pass(&mut trace, *block, *next)?,
                None => {
                    let jump = self.end_of(*block).wrapping_offset(-INSN_BYTES.cast_signed());
                    self.run(&mut trace, *block, jump)?;
                }
            }
        }
        Some(trace)
    }

    /// Executes a block up to `end`; `None` if no work is left.
    fn run(&self, trace: &mut Trace<'_, '_>, block: usize, end: Svma) -> Option<()> {
        let operations = self.instructions.between(self.cfg.blocks.get(block)?.start, end);
        self.instructions.charge(operations.len())?;
        trace.run(operations);
        Some(())
    }

    /// Executes a block and follows the edge to `next`.
    fn pass(&self, trace: &mut Trace<'_, '_>, block: usize, next: usize) -> Option<()> {
        let end = self.end_of(block);
        self.run(trace, block, end)?;
        let last = end.wrapping_offset(-INSN_BYTES.cast_signed());
        // A junction is not a block, and no comparison selects an edge to it.
        let Some(next) = self.cfg.blocks.get(next).map(|next| next.start) else { return Some(()) };
        if let [Operation::Control(Control::Branch { to, test: Test::Flags(condition) })] =
            *self.instructions.between(last, end)
            && (to == next) != (end == next)
        {
            trace.branch(condition, to == next);
        }
        Some(())
    }

    /// The constant at `location` plus `add`, at the entry of `block`.
    pub(super) fn constant(&self, block: usize, (location, add): (Storage, u64)) -> PathValue {
        let root = (block, location);
        let mut seen = HashMap::new();
        let found = self.gather(Property::Constant, root, &mut seen).unwrap_or(PathValue::Unknown);
        if let PathValue::Number(number) = found {
            // A constant over all paths to this block is, less what the paths add, the constant at
            // every earlier block that they pass.
            let earlier = seen.into_iter().map(|(query, by): (Query, u64)| {
                (query, PathValue::Number(number.wrapping_sub(by)))
            });
            self.constants.borrow_mut().extend(earlier);
        }
        self.constants.borrow_mut().insert(root, found);
        found.plus(add)
    }

    /// The upper bound of the value at `location`, at the entry of `block`.
    pub(super) fn bound(&self, block: usize, location: Storage) -> PathValue {
        self.gather(Property::Bound, (block, location), &mut HashMap::new())
            .unwrap_or(PathValue::Unknown)
    }

    /// Follows `root` backward. `seen` gets each query with the number that is added to its value
    /// on the path to the root. If two paths add different numbers, as those around a loop do that
    /// counts, then the value is no constant.
    fn gather(
        &self,
        property: Property,
        root: Query,
        seen: &mut HashMap<Query, u64>,
    ) -> Option<PathValue> {
        let mut queue = vec![(root, 0u64)];
        let mut found = PathValue::Unreachable;
        while let Some((query, add)) = queue.pop() {
            self.instructions.charge(1)?;
            match seen.insert(query, add) {
                Some(known) if known != add => return None,
                Some(_) => continue,
                None => {}
            }
            let (block, location) = query;
            let known = match property {
                Property::Constant => self.constants.borrow().get(&query).copied(),
                Property::Bound => None,
            };
            if let Some(known) = known {
                found = found.join(property, known.plus(add))?;
                continue;
            }
            // The arguments of a function are unknown.
            if block == 0 {
                return None;
            }
            for from in self.before.get(block)? {
                self.instructions.charge(1)?;
                match self.after_block(property, (*from, block), location)? {
                    BlockAnswer::Number(number) => {
                        found =
                            found.join(property, PathValue::Number(number.wrapping_add(add)))?;
                    }
                    BlockAnswer::Same(location, by) => {
                        queue.push(((*from, location), by.wrapping_add(add)));
                    }
                }
            }
        }
        Some(found)
    }

    /// The answer for a storage location on the edge from one block to the next.
    fn after_block(
        &self,
        property: Property,
        (from, to): (usize, usize),
        location: Storage,
    ) -> Option<BlockAnswer> {
        // A junction.
        if from >= self.cfg.blocks.len() {
            return Some(BlockAnswer::Same(location, 0));
        }
        let look = || {
            let mut trace = Trace::new(self.image);
            self.pass(&mut trace, from, to)?;
            answer(&trace, property, location)
        };
        match property {
            Property::Bound => look(),
            // A comparison adds nothing to a constant, so the edge does not matter.
            Property::Constant => {
                let known = self.at_exit.borrow().get(&(from, location)).copied();
                known.unwrap_or_else(|| {
                    let found = look();
                    self.at_exit.borrow_mut().insert((from, location), found);
                    found
                })
            }
        }
    }
}

/// The predecessors of each block. After the blocks come junctions, each of which connects many
/// BRs to the many blocks to which all of them may lead: an interpreter has hundreds of both.
fn before(cfg: &Cfg, open: &[usize]) -> Vec<Vec<usize>> {
    let count = cfg.blocks.len();
    let mut before = vec![Vec::new(); count];
    let mut predecessors: HashMap<&[BlockId], Vec<usize>> = HashMap::new();
    for (index, block) in cfg.blocks.iter().enumerate() {
        predecessors.entry(&block.successors).or_default().push(index);
    }
    let mut predecessors: Vec<(&[BlockId], Vec<usize>)> = predecessors.into_iter().collect();
    predecessors.sort_unstable();
    for (to, from) in predecessors {
        let from = if to.len() > 2 && from.len() > 2 {
            before.push(from);
            vec![before.len() - 1]
        } else {
            from
        };
        for to in to {
            before[to.index()].extend_from_slice(&from);
        }
    }
    let junction = before.len();
    before.push(open.to_vec());
    for before in before[1.min(count)..count].iter_mut().filter(|before| before.is_empty()) {
        before.push(junction);
    }
    before
}

/// The property of a value that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    /// Its number, if it is the same on all paths.
    Constant,
    /// Its upper bound.
    Bound,
}

/// The result of a query over all paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathValue {
    /// The number: the same on all paths, or the upper bound.
    Number(u64),
    /// Different on two paths, or unknown on one.
    Unknown,
    /// No path leads there.
    Unreachable,
}

impl PathValue {
    /// The value plus a number.
    const fn plus(self, add: u64) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.wrapping_add(add)),
            other => other,
        }
    }

    fn join(self, property: Property, other: Self) -> Option<Self> {
        match (self, other, property) {
            (Self::Unknown, ..) | (_, Self::Unknown, _) => None,
            (Self::Unreachable, found, _) | (found, Self::Unreachable, _) => Some(found),
            (Self::Number(one), Self::Number(other), Property::Constant) => {
                (one == other).then_some(self)
            }
            (Self::Number(one), Self::Number(other), Property::Bound) => {
                Some(Self::Number(one.max(other)))
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum BlockAnswer {
    /// The value is this number.
    Number(u64),
    /// The value is that of another storage location at the block entry, plus a number.
    Same(Storage, u64),
}

fn answer(trace: &Trace<'_, '_>, property: Property, location: Storage) -> Option<BlockAnswer> {
    let value = match trace.kept_at(location)? {
        Ok(value) => value,
        Err(earlier) => return Some(BlockAnswer::Same(earlier, 0)),
    };
    let known = match value {
        SymbolicValue::Constant(value) => return Some(BlockAnswer::Number(value)),
        value => trace.known(trace.id(value)?),
    };
    match (property, known.bound) {
        (Property::Bound, Some(bound)) => Some(BlockAnswer::Number(bound)),
        (property, _) => {
            let (from, by) = known.origin?;
            (property == Property::Constant || by == 0).then_some(BlockAnswer::Same(from, by))
        }
    }
}
