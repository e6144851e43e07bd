//! JL003: cache maintenance without its barriers, or in the wrong order.

use crate::addr::Svma;
use crate::dataflow::{Analysis, Bits, Lattice as _, Successor, at_exits, solve};
use crate::lint::finding::Finding;
use crate::lint::model::{FunctionRole, level_of};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::program::{Block, Cfg, Event, Exit, FuncId};
use crate::semantics::{Barrier, CacheOp, Control};
use std::cell::RefCell;
use std::collections::BTreeSet;

pub(in crate::lint) static JL003: RuleDescriptor = RuleDescriptor {
    code: "JL003",
    name: "cache maintenance without its barriers, or in the wrong order",
    level: Level::Warning,
    since: "0.1.0",
    summary: "The data cache is cleaned and the instruction cache invalidated without the barriers \
        between and after them, or in the wrong order.",
    description: "Without the DSB between DC and IC, the instruction cache may be refilled from \
        memory that the clean has not reached yet. Without the DSB after IC, the invalidation may \
        still be in progress when the code runs. An IC that precedes the DC invalidates what the \
        instruction cache may fetch again from memory that has not been cleaned yet. Without the \
        ISB at the end, this CPU may execute instructions that it fetched before.",
    algorithm: "The rule looks at functions that execute `IC IVAU`, `IC IALLUIS` or `IC IALLU`. It \
        reports a path from a DC to an IC without a DSB between them, a path from an IC to an ISB \
        or to the return without a DSB after the IC, and a path on which a DC follows the first \
        IC and no further IC follows the DC. A function of DC alone or of IC alone counts as \
        that operation where it is called. A path from an IC to the return without an ISB is a \
        note, unless every direct caller executes an ISB or a system call. A DSB for the non-shareable domain does not count, because \
        `IC IVAU` and `IC IALLUIS` are broadcast to the inner shareable domain; after `IC IALLU`, \
        which concerns one CPU, it does count. A DSB for loads alone or for stores \
        alone does not count either, because it completes no maintenance. The outer shareable \
        domain and the full system include the inner shareable domain, so `DSB OSH` and `DSB SY` \
        count.",
    false_positives: "- The DSB is in the caller, after the return, or in a function that is \
        called through a pointer.\n\
        - The maintained code is not executed before another DSB.\n\
        - The DC and the IC are for different code.",
    false_negatives: "- An IC and a DC in the wrong order, if another DC precedes both.\n\
        - A function that is called directly between the DC and the IC, or after the IC, is taken \
        to execute the DSB.",
    history: "- The Arm ARM (B2.4.4) gives the sequence DC, DSB, IC, DSB, ISB. Simner et al. \
        (ESOP 2020) show by litmus tests which barrier prevents which outcome.\n\
        - box64 0.3.4 lacks the DSB; 0.4.3 has it.\n\
        - seL4#1710 is an IC IALLU without a DSB, zephyr#113839 an IC that precedes its DC.",
    fix: "`DC CVAU` for all lines, `DSB ISH`, `IC IVAU` for all lines, `DSB ISH`, `ISB`.",
};

/// A DC without a DSB after it.
const CLEANED: Bits = Bits(1);
/// An IC of all CPUs without a DSB after it.
const INVALIDATED: Bits = Bits(2);
/// An IC IALLU without a DSB after it.
const INVALIDATED_HERE: Bits = Bits(4);
/// An IC without an ISB after it.
const NO_ISB: Bits = Bits(8);
/// No DC yet.
const NO_DC: Bits = Bits(16);
/// An IC that no DC precedes.
const EARLY_IC: Bits = Bits(32);
/// A DC after such an IC, without an IC after it.
const STALE: Bits = Bits(64);

/// What is wrong with the maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// An IC follows a DC without a DSB between them.
    NoDsbBefore,
    /// A return or an ISB follows an IC without a DSB between them.
    NoDsbAfter,
    /// The DC follows the IC.
    WrongOrder,
    /// No ISB follows.
    NoIsb,
}

impl Fault {
    /// The part of the fingerprint, and the predicate of the message.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::NoDsbBefore => {
                ("before", "invalidates the instruction cache before the DC has completed")
            }
            Self::NoDsbAfter => ("after", "does not wait for the IC (no DSB after it)"),
            Self::WrongOrder => (
                "order",
                "invalidates the instruction cache and cleans the data cache after that: the \
                 instruction cache may fetch the old instructions again between the two",
            ),
            Self::NoIsb => (
                "isb",
                "maintains the caches and returns without an ISB: this CPU may execute \
                 instructions that it fetched before",
            ),
        }
    }

    const fn level(self) -> Level {
        match self {
            Self::NoIsb => Level::Note,
            _ => JL003.level,
        }
    }
}

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let program = &subject.program;
    let invalidating: Vec<FuncId> = program
        .events()
        .iter()
        .filter(|event| matches!(event.control, Control::Cache(op, _) if op != CacheOp::CleanData))
        .filter_map(|event| program.function_at(event.at))
        .collect();
    let mut functions = invalidating.clone();
    for id in invalidating {
        if operation_of(subject, id) == Some(Operation::Ic) {
            functions.extend(program.callers(id).map(|call| call.caller));
        }
    }
    functions.sort_unstable();
    functions.dedup();
    functions.into_iter().flat_map(|id| check_function(subject, id)).collect()
}

/// A function that cleans data caches only, or invalidates instruction caches only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Dc,
    Ic,
}

fn operation_of(subject: &Subject<'_, '_>, id: FuncId) -> Option<Operation> {
    let has = |is_clean: bool| {
        let mut events = subject.program.events_of(id).iter();
        events.any(
            |event| matches!(event.control, Control::Cache(op, _) if (op == CacheOp::CleanData) == is_clean),
        )
    };
    match (has(true), has(false)) {
        (true, false) => Some(Operation::Dc),
        (false, true) => Some(Operation::Ic),
        _ => None,
    }
}

fn check_function(subject: &Subject<'_, '_>, id: FuncId) -> Vec<Finding> {
    let cfg = subject.cfg(id);
    let analysis = MaintenanceOrder { subject, cfg: &cfg, found: RefCell::default() };
    let Ok(before) = solve(&cfg, &analysis) else { return Vec::new() };
    let at_end = [
        (INVALIDATED, Fault::NoDsbAfter),
        (INVALIDATED_HERE, Fault::NoDsbAfter),
        (STALE, Fault::WrongOrder),
        (NO_ISB, Fault::NoIsb),
    ];
    for (block, exit, state) in at_exits(&cfg, &analysis, before) {
        let last = subject.program.events()[block.events.clone()].last();
        let at = last.map_or(block.start, |last| last.at);
        // The function of a tail call may continue the maintenance.
        let is_end = |fault| fault == Fault::NoDsbAfter || !matches!(exit, Exit::TailCall { .. });
        let left = at_end.into_iter().filter(|(flag, fault)| state.meets(*flag) && is_end(*fault));
        analysis.found.borrow_mut().extend(left.map(|(_, fault)| (fault, at)));
    }
    let mut found: Vec<(Fault, Svma)> = analysis.found.into_inner().into_iter().collect();
    found.dedup_by_key(|(fault, _)| *fault);
    let role = subject.role(id);
    let tolerated = matches!(role, Some(FunctionRole::Tolerated | FunctionRole::BootOnly));
    let reason = subject.known(id).filter(|_| tolerated).and_then(|known| known.reason.clone());
    // Another fault has the same repair.
    if tolerated || found.len() > 1 || callers_fetch_again(subject, id) {
        found.retain(|(fault, _)| *fault != Fault::NoIsb);
    }
    let name = subject.name(id);
    let finding = |(fault, at): (Fault, Svma)| {
        let (detail, what) = fault.texts();
        let level = level_of(tolerated, fault.level());
        let message = format!("{name} {what}");
        let finding = Finding::at(subject, &JL003, level, (id, at), detail, message);
        Finding { tolerated: reason.clone(), ..finding }
    };
    found.into_iter().map(finding).collect()
}

/// Whether every direct caller executes an ISB, or a system call, the return from which is a
/// context synchronisation event.
fn callers_fetch_again(subject: &Subject<'_, '_>, id: FuncId) -> bool {
    let fetches_again = |id: FuncId| {
        let mut events = subject.program.events_of(id).iter();
        events.any(|event| {
            matches!(event.control, Control::Barrier(Barrier::Isb) | Control::SupervisorCall)
        })
    };
    let mut callers = subject.program.callers(id).map(|call| call.caller).peekable();
    callers.peek().is_some() && callers.all(fetches_again)
}

/// Whether a DSB completes an IC IALLU, which concerns this CPU alone: a DSB for loads and stores,
/// in any domain (Arm ARM C6.2, DSB).
const fn completes_here(word: u32) -> bool {
    (word >> 8) & 3 == 3
}

fn clear(state: &mut Bits, flags: Bits) {
    state.0 &= !flags.0;
}

struct MaintenanceOrder<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    cfg: &'a Cfg,
    found: RefCell<BTreeSet<(Fault, Svma)>>,
}

impl MaintenanceOrder<'_, '_, '_> {
    fn clean(state: &mut Bits) {
        clear(state, NO_DC);
        state.join(&CLEANED);
        if state.meets(EARLY_IC) {
            state.join(&STALE);
        }
    }

    fn invalidate(&self, op: CacheOp, at: Svma, state: &mut Bits) {
        if state.meets(CLEANED) {
            self.found.borrow_mut().insert((Fault::NoDsbBefore, at));
        }
        if state.meets(NO_DC) {
            state.join(&EARLY_IC);
        }
        clear(state, STALE);
        state.join(&NO_ISB);
        state.join(match op {
            CacheOp::InvalidateLocal => &INVALIDATED_HERE,
            _ => &INVALIDATED,
        });
    }

    fn barrier(&self, barrier: Barrier, at: Svma, state: &mut Bits) {
        match barrier {
            Barrier::Dsb => clear(state, Bits(CLEANED.0 | INVALIDATED.0 | INVALIDATED_HERE.0)),
            Barrier::WeakDsb if self.subject.program.word(at).is_some_and(completes_here) => {
                clear(state, INVALIDATED_HERE);
            }
            Barrier::Isb => {
                if state.meets(INVALIDATED) || state.meets(INVALIDATED_HERE) {
                    self.found.borrow_mut().insert((Fault::NoDsbAfter, at));
                }
                clear(state, NO_ISB);
            }
            Barrier::WeakDsb | Barrier::Dmb => {}
        }
    }

    /// Whether the code of a loop contains a DC and an IC after it. Each iteration then maintains
    /// a range of its own, so that its DC does not belong to an earlier IC.
    fn maintains_whole_ranges(&self, start: Svma, last: &Block) -> bool {
        let program = &self.subject.program;
        let first = program.events().partition_point(|event| event.at < start);
        let mut events = program.events().get(first..last.events.end).unwrap_or_default().iter();
        let is_clean =
            |event: &Event| matches!(event.control, Control::Cache(CacheOp::CleanData, _));
        let is_cache = |event: &Event| matches!(event.control, Control::Cache(..));
        events.find(|event| is_cache(event)).is_some_and(is_clean)
            && events.any(|event| is_cache(event) && !is_clean(event))
    }

    /// A call. The callee may execute the barriers, and an IC.
    fn call(&self, to: Svma, at: Svma, state: &mut Bits) {
        let callee = self.subject.program.function_at(to);
        let operation = callee.and_then(|id| operation_of(self.subject, id));
        match operation {
            Some(Operation::Dc) => Self::clean(state),
            Some(Operation::Ic) => self.invalidate(CacheOp::InvalidateInsn, at, state),
            None => {}
        }
        clear(state, Bits(CLEANED.0 | INVALIDATED.0 | INVALIDATED_HERE.0 | NO_ISB.0));
        if operation.is_none() {
            clear(state, Bits(EARLY_IC.0 | STALE.0));
        }
    }
}

impl Analysis for MaintenanceOrder<'_, '_, '_> {
    type State = Bits;

    fn entry(&self) -> Bits {
        NO_DC
    }

    fn transfer(&self, block: &Block, state: &mut Bits) {
        for event in &self.subject.program.events()[block.events.clone()] {
            match event.control {
                Control::Cache(CacheOp::CleanData, _) => Self::clean(state),
                Control::Cache(op, _) => self.invalidate(op, event.at, state),
                Control::Barrier(barrier) => self.barrier(barrier, event.at, state),
                Control::Call { to } => self.call(to, event.at, state),
                Control::CallRegister { .. } => clear(state, Bits(EARLY_IC.0 | STALE.0 | NO_ISB.0)),
                _ => {}
            }
        }
    }

    fn follow(&self, block: &Block, next: Successor, state: &mut Bits) -> bool {
        if let Successor::Block(next) = next {
            let start = self.cfg.blocks[next.index()].start;
            if start <= block.start && self.maintains_whole_ranges(start, block) {
                clear(state, EARLY_IC);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsb_of_this_cpu_completes_a_local_invalidation() {
        for (word, is_complete) in [
            (0xd503_379f, true),  // dsb nsh
            (0xd503_3f9f, true),  // dsb sy
            (0xd503_359f, false), // dsb nshld
            (0xd503_3a9f, false), // dsb ishst
        ] {
            assert_eq!(completes_here(word), is_complete, "{word:#x}");
        }
    }
}
