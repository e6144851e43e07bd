//! JL003: DSB missing before or after the cache maintenance.

use crate::addr::Svma;
use crate::dataflow::{Analysis, Bits, Lattice as _, at_exits, solve};
use crate::lint::finding::Finding;
use crate::lint::model::{FunctionRole, level_of};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::program::{Barrier, Block, CacheOp, FuncId, Insn};
use std::cell::RefCell;
use std::collections::BTreeSet;

pub(in crate::lint) static JL003: RuleDescriptor = RuleDescriptor {
    code: "JL003",
    name: "DSB missing before or after the cache maintenance",
    level: Level::Warning,
    since: "0.1.0",
    summary: "The data cache is cleaned and the instruction cache invalidated without a DSB \
        between them, or the invalidation is not waited for.",
    description: "Without the DSB between DC and IC, the instruction cache may be refilled from \
        memory that the clean has not reached yet. Without the DSB after IC, the invalidation may \
        still be in progress when the code runs.",
    algorithm: "The rule looks at functions that execute `IC IVAU`. It reports a path from a DC \
        to an IC without a DSB between them, and a path from an IC to an ISB or to the return \
        without a DSB after the IC. A DSB for the non-shareable domain does not count, because \
        `IC IVAU` is broadcast to the inner shareable domain. A DSB for loads alone or for stores \
        alone does not count either, because it completes no maintenance. The outer shareable \
        domain and the full system include the inner shareable domain, so `DSB OSH` and `DSB SY` \
        count.",
    false_positives: "- The DSB is in the caller, after the return, or in a function that is \
        called through a pointer.\n\
        - The maintained code is not executed before another DSB.",
    false_negatives: "- A function that invalidates the whole instruction cache (`IC IALLU`, `IC \
        IALLUIS`) and no line.\n\
        - A function that is called directly between the DC and the IC, or after the IC, is taken \
        to execute the DSB.",
    history: "- The Arm ARM (B2.4.4) gives the sequence DC, DSB, IC, DSB, ISB. Simner et al. \
        (ESOP 2020) show by litmus tests which barrier prevents which outcome.\n\
        - box64 0.3.4 lacks the DSB; 0.4.3 has it.\n\
        - seL4#1710 is an IC IALLU without a DSB, zephyr#113839 an IC that precedes its DC.",
    fix: "`DC CVAU` for all lines, `DSB ISH`, `IC IVAU` for all lines, `DSB ISH`, `ISB`.",
};

const CLEANED: Bits = Bits(1);
const INVALIDATED: Bits = Bits(2);

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let program = &subject.program;
    let mut functions: Vec<FuncId> = program
        .events()
        .iter()
        .filter(|event| event.insn == Insn::Cache(CacheOp::InvalidateInsn))
        .filter_map(|event| program.function_at(event.at))
        .collect();
    functions.dedup();
    functions.into_iter().flat_map(|id| check_function(subject, id)).collect()
}

fn check_function(subject: &Subject<'_, '_>, id: FuncId) -> Vec<Finding> {
    let cfg = subject.cfg(id);
    let analysis = MaintenanceOrder { subject, found: RefCell::default() };
    let Ok(before) = solve(&cfg, &analysis) else { return Vec::new() };
    for (block, _, state) in at_exits(&cfg, &analysis, before) {
        if state.meets(INVALIDATED) {
            let last = subject.program.events()[block.events.clone()].last();
            analysis.found.borrow_mut().insert((true, last.map_or(block.start, |last| last.at)));
        }
    }
    let tolerated = subject.role(id) == Some(FunctionRole::Tolerated);
    let reason = subject.known(id).filter(|_| tolerated).and_then(|known| known.reason.clone());
    let name = subject.name(id);
    let mut found: Vec<(bool, Svma)> = analysis.found.into_inner().into_iter().collect();
    found.dedup_by_key(|(is_after, _)| *is_after);
    found
        .into_iter()
        .map(|(is_after, at)| {
            let (detail, what) = match is_after {
                true => ("after", "does not wait for the IC (no DSB after it)"),
                false => {
                    ("before", "invalidates the instruction cache before the DC has completed")
                }
            };
            let level = level_of(tolerated, JL003.level);
            let message = format!("{name} {what}");
            let finding = Finding::at(subject, &JL003, level, (id, at), detail, message);
            Finding { tolerated: reason.clone(), ..finding }
        })
        .collect()
}

struct MaintenanceOrder<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    found: RefCell<BTreeSet<(bool, Svma)>>,
}

impl Analysis for MaintenanceOrder<'_, '_, '_> {
    type State = Bits;

    fn entry(&self) -> Bits {
        Bits::NONE
    }

    fn transfer(&self, block: &Block, state: &mut Bits) {
        for event in &self.subject.program.events()[block.events.clone()] {
            match event.insn {
                Insn::Cache(CacheOp::CleanData) => {
                    state.join(&CLEANED);
                }
                Insn::Cache(_) => {
                    if state.meets(CLEANED) {
                        self.found.borrow_mut().insert((false, event.at));
                    }
                    state.join(&INVALIDATED);
                }
                // The callee may execute the DSB.
                Insn::Barrier(Barrier::Dsb) | Insn::Call { .. } => *state = Bits::NONE,
                Insn::Barrier(Barrier::Isb) if state.meets(INVALIDATED) => {
                    self.found.borrow_mut().insert((true, event.at));
                }
                _ => {}
            }
        }
    }
}
