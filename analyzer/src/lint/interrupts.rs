//! Broadcasts with interrupts off: a function that makes all other CPUs take an interrupt and
//! waits for them, called where its own CPU takes none.
//!
//! Two CPUs that do so at once wait for each other, and a CPU that stops all others waits for
//! CPUs that take no interrupt (`kernel/smp.c`, Linux 6.12, "Can deadlock when called with
//! interrupts disabled").
//!
//! Whether interrupts are off is followed from the instructions that write DAIF and from the
//! names of the kernel's lock functions. A write to DAIF restores the state of the MRS before it.
//! The priority mask of pseudo-NMIs counts only where it may enable interrupts.

use super::model::FunctionRole;
use super::subject::Subject;
use crate::addr::Svma;
use crate::dataflow::{Analysis, Bits, Lattice as _, Summaries, at_exits, solve, summarize};
use crate::program::{Block, Event, Exit, FuncId};
use crate::semantics::{Control, INSN_BYTES};
use foldhash::{HashMap, HashSet};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Interrupts are off on some path to this point.
const OFF: Bits = Bits(1);
/// The state was saved with interrupts off.
const SAVED_OFF: Bits = Bits(2);
/// The state was saved with interrupts on, or unknown.
const SAVED_ON: Bits = Bits(4);

/// What an instruction or a lock function does to the mask of interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MaskOp {
    /// MRS of DAIF.
    Save,
    /// MSR DAIFSet.
    Disable,
    /// Both.
    SaveAndDisable,
    /// MSR DAIFClr.
    Enable,
    /// MSR of DAIF from a register.
    Restore,
}

impl MaskOp {
    /// The operation of an instruction (Arm ARM C5.2, DAIF, DAIFSet, DAIFClr; ICC_PMR_EL1).
    const fn of_word(word: u32) -> Option<Self> {
        // Bit 1 of the immediate is I.
        let is_of_irq = word >> 8 & 2 != 0;
        match word & 0xffff_f0ff {
            0xd503_40df if is_of_irq => return Some(Self::Disable),
            0xd503_40ff if is_of_irq => return Some(Self::Enable),
            _ => {}
        }
        match word & !31 {
            0xd53b_4220 => Some(Self::Save),
            0xd51b_4220 => Some(Self::Restore),
            0xd518_4600 => Some(Self::Enable),
            _ => None,
        }
    }

    /// The operation of a lock function (`include/linux/spinlock_api_smp.h`, Linux 6.12).
    fn of_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("_raw_")?;
        let rest = ["spin_", "read_", "write_"].iter().find_map(|kind| rest.strip_prefix(kind))?;
        match rest {
            "lock_irqsave" => Some(Self::SaveAndDisable),
            "lock_irq" => Some(Self::Disable),
            "unlock_irqrestore" => Some(Self::Restore),
            "unlock_irq" => Some(Self::Enable),
            _ => None,
        }
    }

    fn apply(self, state: &mut Bits) {
        let is_off = state.meets(OFF);
        if matches!(self, Self::Save | Self::SaveAndDisable) {
            state.join(if is_off { &SAVED_OFF } else { &SAVED_ON });
        }
        match self {
            Self::Save => {}
            Self::Disable | Self::SaveAndDisable => {
                state.join(&OFF);
            }
            Self::Restore if state.meets(SAVED_OFF) && !state.meets(SAVED_ON) => {}
            Self::Enable | Self::Restore => state.0 &= !OFF.0,
        }
    }
}

/// A call on the way to a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BroadcastCall {
    pub(super) at: Svma,
    pub(super) callee: FuncId,
    /// Calls below this one that lead to the broadcast.
    pub(super) depth: u8,
}

/// Calls from a context to a broadcast, beyond which the lint does not look.
const DEEPEST: u8 = 4;

/// What functions do to interrupts, and the broadcasts that they call with interrupts off.
pub(super) struct Interrupts<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    /// Instructions that change the mask.
    ops: BTreeMap<Svma, MaskOp>,
    /// Lock functions.
    locks: HashMap<FuncId, MaskOp>,
    /// Functions that may return with interrupts on if they are entered with interrupts off.
    enabling: HashSet<FuncId>,
    /// The calls by which functions that are entered with interrupts off lead to a broadcast.
    broadcasts: HashMap<FuncId, BroadcastCall>,
}

impl<'a, 'b, 'data> Interrupts<'a, 'b, 'data> {
    pub(super) fn of(subject: &'a Subject<'b, 'data>) -> Self {
        let program = &subject.program;
        let mut locks = HashMap::default();
        let mut ops = BTreeMap::new();
        for id in program.ids() {
            if let Some(op) = MaskOp::of_name(&subject.name(id)) {
                locks.insert(id, op);
            }
            let range = program.function(id).range;
            for index in 0..range.size() / INSN_BYTES {
                let at = range.start().wrapping_add(index * INSN_BYTES);
                if let Some(op) = program.word(at).and_then(MaskOp::of_word) {
                    ops.insert(at, op);
                }
            }
        }
        let mut all = Self {
            subject,
            ops,
            locks,
            enabling: HashSet::default(),
            broadcasts: HashMap::default(),
        };
        all.find_enabling();
        all.find_broadcasts();
        all
    }

    /// The call by which a function that is entered with interrupts off leads to a broadcast.
    pub(super) fn broadcast_below(&self, id: FuncId) -> Option<BroadcastCall> {
        self.broadcasts.get(&id).copied()
    }

    /// The first call, by address, that leads to a broadcast after `id` itself has turned
    /// interrupts off.
    pub(super) fn broadcast_in(&self, id: FuncId) -> Option<BroadcastCall> {
        let range = self.subject.program.function(id).range;
        let has_op = self.ops.range(range.start()..range.end()).next().is_some()
            || self.subject.program.calls_of(id).iter().any(|c| self.locks.contains_key(&c.callee));
        has_op.then(|| self.run(id, Bits::NONE)).flatten()?.broadcast
    }

    /// Functions that turn interrupts off themselves and call a broadcast, or a function that
    /// leads to one.
    pub(super) fn candidates(&self) -> Vec<FuncId> {
        let program = &self.subject.program;
        let below = self.broadcasts.keys().flat_map(|id| program.callers(*id));
        let mut all: Vec<FuncId> = below.map(|call| call.caller).collect();
        all.extend(self.broadcasts.keys());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether the call of `callee` at `at` makes all other CPUs take an interrupt and waits for
    /// them.
    fn is_broadcast(&self, caller: FuncId, callee: FuncId, at: Svma) -> bool {
        match self.subject.role(callee) {
            Some(FunctionRole::Syncs | FunctionRole::PatchesAndSyncs) => true,
            Some(FunctionRole::SyncsIfArgument(number)) => {
                let wait = self.subject.argument(caller, at, number);
                wait.is_some_and(|wait| wait & 0xffff_ffff != 0)
            }
            // It is made for a CPU that takes no interrupts (`kernel/stop_machine.c`).
            Some(FunctionRole::SyncsIfCallbackIsbs { .. }) => {
                self.subject.name(callee) != "stop_machine_from_inactive_cpu"
            }
            _ => false,
        }
    }

    /// The callers of primitives that broadcast.
    fn callers_of_primitives(&self) -> Vec<FuncId> {
        let is_primitive = |id: &FuncId| {
            matches!(
                self.subject.role(*id),
                Some(
                    FunctionRole::Syncs
                        | FunctionRole::PatchesAndSyncs
                        | FunctionRole::SyncsIfArgument(_)
                        | FunctionRole::SyncsIfCallbackIsbs { .. }
                )
            )
        };
        let program = &self.subject.program;
        let calls = program.ids().filter(is_primitive).flat_map(|id| program.callers(id));
        calls.map(|call| call.caller).collect()
    }

    fn find_enabling(&mut self) {
        let program = &self.subject.program;
        let of_ops = self.ops.keys().filter_map(|at| program.function_at(*at));
        let of_locks = self.locks.keys().flat_map(|id| program.callers(*id)).map(|c| c.caller);
        let mut seeds: Vec<FuncId> = of_ops.chain(of_locks).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let (subject, order) = (self.subject, self.subject.call_order());
        summarize(&subject.program, order, seeds, &mut Enabling(self));
    }

    fn find_broadcasts(&mut self) {
        let seeds = self.callers_of_primitives();
        let (subject, order) = (self.subject, self.subject.call_order());
        summarize(&subject.program, order, seeds, &mut Broadcasts(self));
    }

    /// Runs a function with this state at its entry; `None` if it takes too many steps.
    fn run(&self, id: FuncId, entry: Bits) -> Option<Outcome> {
        let cfg = self.subject.cfg(id);
        let analysis = MaskAnalysis { interrupts: self, id, entry, found: RefCell::default() };
        let before = solve(&cfg, &analysis).ok()?;
        let mut may_enable = false;
        for (_, exit, mut state) in at_exits(&cfg, &analysis, before) {
            match exit {
                Exit::TailCall { at, to } => analysis.call(to, at, &mut state),
                Exit::Return { .. } | Exit::Unknown { .. } => {}
            }
            may_enable |= !state.meets(OFF);
        }
        let broadcast = analysis.found.into_inner().into_values().min_by_key(|call| call.depth);
        Some(Outcome { may_enable, broadcast })
    }
}

struct Outcome {
    may_enable: bool,
    broadcast: Option<BroadcastCall>,
}

/// The summary "may return with interrupts on, if it is entered with interrupts off".
struct Enabling<'c, 'a, 'b, 'data>(&'c mut Interrupts<'a, 'b, 'data>);

impl Summaries for Enabling<'_, '_, '_, '_> {
    fn evaluate(&mut self, id: FuncId) -> bool {
        if self.0.enabling.contains(&id) || self.0.locks.contains_key(&id) {
            return false;
        }
        let enables = self.0.run(id, OFF).is_none_or(|outcome| outcome.may_enable);
        enables && self.0.enabling.insert(id)
    }

    fn give_up(&mut self, id: FuncId) -> bool {
        self.0.enabling.insert(id)
    }
}

/// The summary "leads to a broadcast, if it is entered with interrupts off".
struct Broadcasts<'c, 'a, 'b, 'data>(&'c mut Interrupts<'a, 'b, 'data>);

impl Summaries for Broadcasts<'_, '_, '_, '_> {
    fn evaluate(&mut self, id: FuncId) -> bool {
        let all = &mut *self.0;
        if all.subject.role(id).is_some() || all.broadcasts.contains_key(&id) {
            return false;
        }
        let found = all.run(id, OFF).and_then(|outcome| outcome.broadcast);
        match found.filter(|call| call.depth < DEEPEST) {
            Some(call) => all.broadcasts.insert(id, call).is_none(),
            None => false,
        }
    }

    fn give_up(&mut self, _: FuncId) -> bool {
        false
    }
}

struct MaskAnalysis<'c, 'a, 'b, 'data> {
    interrupts: &'c Interrupts<'a, 'b, 'data>,
    id: FuncId,
    entry: Bits,
    found: RefCell<BTreeMap<Svma, BroadcastCall>>,
}

impl MaskAnalysis<'_, '_, '_, '_> {
    fn call(&self, callee: FuncId, at: Svma, state: &mut Bits) {
        let all = self.interrupts;
        if let Some(op) = all.locks.get(&callee) {
            op.apply(state);
            return;
        }
        if !state.meets(OFF) {
            return;
        }
        let depth = match all.broadcasts.get(&callee) {
            _ if all.is_broadcast(self.id, callee, at) => Some(0),
            Some(below) => Some(below.depth + 1),
            None => None,
        };
        if let Some(depth) = depth {
            self.found.borrow_mut().insert(at, BroadcastCall { at, callee, depth });
        }
        if all.enabling.contains(&callee) {
            MaskOp::Enable.apply(state);
        }
    }
}

impl Analysis for MaskAnalysis<'_, '_, '_, '_> {
    type State = Bits;

    fn entry(&self) -> Bits {
        self.entry
    }

    fn transfer(&self, block: &Block, state: &mut Bits) {
        let all = self.interrupts;
        let program = &all.subject.program;
        let cfg = all.subject.cfg(self.id);
        let next = cfg.blocks.partition_point(|other| other.start <= block.start);
        let end = cfg.blocks.get(next).map_or(program.function(self.id).range.end(), |b| b.start);
        let mut ops = all.ops.range(block.start..end).peekable();
        let events: &[Event] = &program.events()[block.events.clone()];
        for event in events {
            while let Some((_, op)) = ops.next_if(|(at, _)| **at < event.at) {
                op.apply(state);
            }
            if let Control::Call { to } = event.control
                && let Some(callee) = program.function_at(to)
            {
                self.call(callee, event.at, state);
            }
        }
        ops.for_each(|(_, op)| op.apply(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_follows_instructions_and_locks() {
        let op = |word| MaskOp::of_word(word);
        assert_eq!(op(0xd503_42df), Some(MaskOp::Disable), "msr daifset, #2");
        assert_eq!(op(0xd503_43df), Some(MaskOp::Disable), "msr daifset, #3");
        assert_eq!(op(0xd503_41df), None, "msr daifset, #1");
        assert_eq!(op(0xd503_42ff), Some(MaskOp::Enable), "msr daifclr, #2");
        assert_eq!(op(0xd53b_4233), Some(MaskOp::Save), "mrs x19, daif");
        assert_eq!(op(0xd51b_4233), Some(MaskOp::Restore), "msr daif, x19");
        assert_eq!(op(0xd503_201f), None, "nop");
        assert_eq!(MaskOp::of_name("_raw_spin_lock_irqsave"), Some(MaskOp::SaveAndDisable));
        assert_eq!(MaskOp::of_name("_raw_write_unlock_irq"), Some(MaskOp::Enable));
        assert_eq!(MaskOp::of_name("_raw_spin_lock"), None);
    }

    #[test]
    fn a_restore_returns_to_the_saved_state() {
        let run = |entry: Bits, ops: &[MaskOp]| {
            let mut state = entry;
            ops.iter().for_each(|op| op.apply(&mut state));
            state.meets(OFF)
        };
        let section = [MaskOp::SaveAndDisable, MaskOp::Restore];
        assert!(!run(Bits::NONE, &section));
        assert!(run(OFF, &section), "nested");
        assert!(run(Bits::NONE, &[MaskOp::Save, MaskOp::Disable]));
        assert!(!run(OFF, &[MaskOp::Restore]), "a state that was saved elsewhere");
    }
}
