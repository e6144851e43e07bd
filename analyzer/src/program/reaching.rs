//! The value of a register at a BR, over all paths that lead there.

use super::cfg::{BlockId, Cfg};
use super::insn::{INSN_BYTES, Insn};
use super::recovered::RecoveredProgram;
use super::symbolic_value::{Storage, SymbolicValue};
use super::trace::Trace;
use crate::addr::Svma;
use crate::image::Image;
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use std::cell::{Cell, RefCell};

/// Blocks that are followed backward from a BR while each has one predecessor.
const PATH: usize = 16;
/// Average number of times that an instruction of a function may be visited.
const TIMES: u64 = 32;
/// Visits that every function is allowed, whatever its size.
const LEAST: u64 = 10_000;

/// A block entry, a storage location, and a number that is added to the value there.
type Query = (usize, Storage, u64);

/// The control flow of a function, followed backward.
pub(super) struct Flow<'a, 'data> {
    program: &'a RecoveredProgram<'data>,
    image: &'a Image<'data>,
    cfg: &'a Cfg,
    end: Svma,
    before: Vec<Vec<usize>>,
    /// The result of each query for a constant.
    constants: RefCell<HashMap<Query, PathValue>>,
    /// The answer at the exit of a block, for each storage location.
    at_exit: RefCell<HashMap<(usize, Storage), Option<BlockAnswer>>>,
    /// Visits that are left.
    left: Cell<u64>,
}

impl<'a, 'data> Flow<'a, 'data> {
    /// Analyses `cfg`; its function ends at `end`. The blocks without a known predecessor are the
    /// possible targets of the BRs in the blocks `open`.
    pub(super) fn new(
        program: &'a RecoveredProgram<'data>,
        image: &'a Image<'data>,
        cfg: &'a Cfg,
        end: Svma,
        open: &[usize],
    ) -> Self {
        let before = before(cfg, open);
        let start = cfg.blocks.first().map_or(end, |block| block.start);
        let left = Cell::new(end.0.saturating_sub(start.0) / INSN_BYTES * TIMES + LEAST);
        let (constants, at_exit) = (RefCell::default(), RefCell::default());
        Self { program, image, cfg, end, before, constants, at_exit, left }
    }

    fn end_of(&self, block: usize) -> Svma {
        self.cfg.blocks.get(block + 1).map_or(self.end, |next| next.start)
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
    pub(super) fn along(&self, path: &[usize]) -> Option<Trace> {
        let mut trace = Trace::new();
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

    /// Executes a block up to `end`; `None` if no visits are left.
    fn run(&self, trace: &mut Trace, block: usize, end: Svma) -> Option<()> {
        let start = self.cfg.blocks.get(block)?.start;
        let left = self.left.get().checked_sub(end.0.saturating_sub(start.0) / INSN_BYTES)?;
        self.left.set(left);
        trace.run(self.program, self.image, start, end);
        Some(())
    }

    /// Executes a block and follows the edge to `next`.
    fn pass(&self, trace: &mut Trace, block: usize, next: usize) -> Option<()> {
        let end = self.end_of(block);
        self.run(trace, block, end)?;
        let last = end.wrapping_offset(-INSN_BYTES.cast_signed());
        // A junction is not a block, and no comparison selects an edge to it.
        let Some(next) = self.cfg.blocks.get(next).map(|next| next.start) else { return Some(()) };
        // B.cond: C6.2.
        if let (Some(word), Some(Insn::Branch { to })) =
            (self.program.word(last), self.program.insn(last))
            && word & 0xff00_0010 == 0x5400_0000
            && (to == next) != (end == next)
        {
            trace.branch(word & 15, to == next);
        }
        Some(())
    }

    /// The constant at `location` plus `add`, at the entry of `block`.
    pub(super) fn constant(&self, block: usize, (location, add): (Storage, u64)) -> PathValue {
        let root = (block, location, add);
        if let Some(known) = self.constants.borrow().get(&root) {
            return *known;
        }
        let mut seen = HashSet::new();
        let found = self.gather(Property::Constant, root, &mut seen).unwrap_or(PathValue::Unknown);
        let mut constants = self.constants.borrow_mut();
        if matches!(found, PathValue::Number(_)) {
            // A constant over all paths to this block is the constant at every earlier block that
            // these paths pass.
            constants.extend(seen.into_iter().map(|query| (query, found)));
        }
        constants.insert(root, found);
        found
    }

    /// The upper bound of the value at `location`, at the entry of `block`.
    pub(super) fn bound(&self, block: usize, location: Storage) -> PathValue {
        let root = (block, location, 0);
        self.gather(Property::Bound, root, &mut HashSet::new()).unwrap_or(PathValue::Unknown)
    }

    fn gather(
        &self,
        property: Property,
        root: Query,
        seen: &mut HashSet<Query>,
    ) -> Option<PathValue> {
        let mut queue = vec![root];
        let mut found = PathValue::Unreachable;
        while let Some(query) = queue.pop() {
            if !seen.insert(query) {
                continue;
            }
            let (block, location, add) = query;
            let known = match property {
                Property::Constant => self.constants.borrow().get(&query).copied(),
                Property::Bound => None,
            };
            if let Some(known) = known {
                found = found.join(property, known)?;
                continue;
            }
            // The arguments of a function are unknown.
            if block == 0 {
                return None;
            }
            for from in self.before.get(block)? {
                match self.after_block(property, (*from, block), location)? {
                    BlockAnswer::Number(number) => {
                        found =
                            found.join(property, PathValue::Number(number.wrapping_add(add)))?;
                    }
                    BlockAnswer::Same(location, by) => {
                        queue.push((*from, location, by.wrapping_add(add)));
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
            let mut trace = Trace::new();
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

fn answer(trace: &Trace, property: Property, location: Storage) -> Option<BlockAnswer> {
    let Some(value) = trace.kept_at(location) else {
        let Storage::Stack(base, _) = location else { return None };
        return (!trace.is_moved(base)).then_some(BlockAnswer::Same(location, 0));
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
