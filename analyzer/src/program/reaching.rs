//! What a register holds where a BR is, over all ways that lead there.

use super::cfg::{BlockId, Cfg};
use super::insn::{INSN_BYTES, Insn};
use super::recovered::RecoveredProgram;
use super::symbolic_value::{Storage, SymbolicValue};
use super::trace::Trace;
use crate::addr::Svma;
use crate::image::Image;
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use std::cell::{Cell, RefCell};

/// Blocks that are followed backwards from a BR while one alone leads to each.
const PATH: usize = 16;
/// How often, on average, an instruction of a function may be looked at.
const TIMES: u64 = 32;
/// Instructions that may be looked at in any function.
const LEAST: u64 = 10_000;

/// A place before a block, and a number that is added to what is kept there.
type Query = (usize, Storage, u64);

/// The control flow of a function, backwards.
pub(super) struct Flow<'a, 'data> {
    program: &'a RecoveredProgram<'data>,
    image: &'a Image<'data>,
    cfg: &'a Cfg,
    end: Svma,
    before: Vec<Vec<usize>>,
    /// Constants that are known, and places that are known to hold none.
    constants: RefCell<HashMap<Query, PathValue>>,
    /// What is known of a place behind a block.
    behind: RefCell<HashMap<(usize, Storage), Option<BlockAnswer>>>,
    /// Instructions that may still be looked at.
    left: Cell<u64>,
}

impl<'a, 'data> Flow<'a, 'data> {
    /// Of `cfg`, whose function ends at `end`.  Blocks that nothing is seen to lead to
    /// are where the BRs of the blocks `open` may go.
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
        let (constants, behind) = (RefCell::default(), RefCell::default());
        Self { program, image, cfg, end, before, constants, behind, left }
    }

    fn end_of(&self, block: usize) -> Svma {
        self.cfg.blocks.get(block + 1).map_or(self.end, |next| next.start)
    }

    /// The blocks that must be passed, one after the other, to get to `block`, which is
    /// the last.
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

    /// What is known at the end of `path`, before the jump there.
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

    /// Executes a block up to `end`; nothing once too much was looked at.
    fn run(&self, trace: &mut Trace, block: usize, end: Svma) -> Option<()> {
        let start = self.cfg.blocks.get(block)?.start;
        let left = self.left.get().checked_sub(end.0.saturating_sub(start.0) / INSN_BYTES)?;
        self.left.set(left);
        trace.run(self.program, self.image, start, end);
        Some(())
    }

    /// Executes a block, and goes on to `next`.
    fn pass(&self, trace: &mut Trace, block: usize, next: usize) -> Option<()> {
        let end = self.end_of(block);
        self.run(trace, block, end)?;
        let last = end.wrapping_offset(-INSN_BYTES.cast_signed());
        // No comparison decides which way a junction goes.
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

    /// The number that is kept at `location`, and `add`, before `block`.
    pub(super) fn constant(&self, block: usize, (location, add): (Storage, u64)) -> PathValue {
        let root = (block, location, add);
        if let Some(known) = self.constants.borrow().get(&root) {
            return *known;
        }
        let mut seen = HashSet::new();
        let found = self.gather(Property::Constant, root, &mut seen).unwrap_or(PathValue::Unknown);
        let mut constants = self.constants.borrow_mut();
        if matches!(found, PathValue::Number(_)) {
            // What holds here on all ways holds on those that lead to each place before.
            constants.extend(seen.into_iter().map(|place| (place, found)));
        }
        constants.insert(root, found);
        found
    }

    /// The highest number that may be kept at `location` before `block`.
    pub(super) fn bound(&self, block: usize, location: Storage) -> PathValue {
        let root = (block, location, 0);
        self.gather(Property::Bound, root, &mut HashSet::new()).unwrap_or(PathValue::Unknown)
    }

    fn gather(
        &self,
        question: Property,
        root: Query,
        seen: &mut HashSet<Query>,
    ) -> Option<PathValue> {
        let mut queue = vec![root];
        let mut found = PathValue::Unreachable;
        while let Some(place) = queue.pop() {
            if !seen.insert(place) {
                continue;
            }
            let (block, location, add) = place;
            let known = match question {
                Property::Constant => self.constants.borrow().get(&place).copied(),
                Property::Bound => None,
            };
            if let Some(known) = known {
                found = found.join(question, known)?;
                continue;
            }
            // What a function is called with is not known.
            if block == 0 {
                return None;
            }
            for from in self.before.get(block)? {
                match self.behind(question, (*from, block), location)? {
                    BlockAnswer::Number(number) => {
                        found =
                            found.join(question, PathValue::Number(number.wrapping_add(add)))?;
                    }
                    BlockAnswer::Same(location, by) => {
                        queue.push((*from, location, by.wrapping_add(add)));
                    }
                }
            }
        }
        Some(found)
    }

    /// What is known of a place on the way from one block to the next.
    fn behind(
        &self,
        question: Property,
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
            answer(&trace, question, location)
        };
        match question {
            Property::Bound => look(),
            // No comparison says more of a constant, so that the way on does not matter.
            Property::Constant => {
                let known = self.behind.borrow().get(&(from, location)).copied();
                known.unwrap_or_else(|| {
                    let found = look();
                    self.behind.borrow_mut().insert((from, location), found);
                    found
                })
            }
        }
    }
}

/// The blocks before each.  Behind the blocks there are junctions, which only lead from
/// many BRs to the many blocks that all of them may go to: an interpreter has hundreds of
/// both.
fn before(cfg: &Cfg, open: &[usize]) -> Vec<Vec<usize>> {
    let count = cfg.blocks.len();
    let mut before = vec![Vec::new(); count];
    let mut ways: HashMap<&[BlockId], Vec<usize>> = HashMap::new();
    for (index, block) in cfg.blocks.iter().enumerate() {
        ways.entry(&block.successors).or_default().push(index);
    }
    let mut ways: Vec<(&[BlockId], Vec<usize>)> = ways.into_iter().collect();
    ways.sort_unstable();
    for (to, from) in ways {
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

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    /// The number, the same on all ways.
    Constant,
    /// The highest number.
    Bound,
}

/// What all ways to a place say of it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathValue {
    /// The number: the same on all of them, or the highest.
    Number(u64),
    /// Not the same, or not known.
    Unknown,
    /// No way leads there.
    Unreachable,
}

impl PathValue {
    fn join(self, question: Property, other: Self) -> Option<Self> {
        match (self, other, question) {
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
    /// The number.
    Number(u64),
    /// What is kept there before the block, and a number.
    Same(Storage, u64),
}

fn answer(trace: &Trace, question: Property, location: Storage) -> Option<BlockAnswer> {
    let Some(value) = trace.kept_at(location) else {
        let Storage::Stack(base, _) = location else { return None };
        return (!trace.is_moved(base)).then_some(BlockAnswer::Same(location, 0));
    };
    let known = match value {
        SymbolicValue::Constant(value) => return Some(BlockAnswer::Number(value)),
        value => trace.known(trace.id(value)?),
    };
    match (question, known.bound) {
        (Property::Bound, Some(bound)) => Some(BlockAnswer::Number(bound)),
        (question, _) => {
            let (from, by) = known.origin?;
            (question == Property::Constant || by == 0).then_some(BlockAnswer::Same(from, by))
        }
    }
}
