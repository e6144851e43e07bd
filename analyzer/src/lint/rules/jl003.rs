//! JL003 DSB missing before or after the maintenance of instruction caches.
//!
//! # Algorithm
//! In functions that execute IC IVAU: a DC on the way to an IC needs a DSB between them; an
//! IC on the way to a return or an ISB needs one behind it (Arm ARM B2.4.4).  A DSB of the
//! non-shareable domain, or for loads or stores alone, is none: IC IVAU goes to all PEs of
//! the inner shareable domain, which the outer one and the full system hold.
//!
//! # False positives
//! A DSB in a function called in between, or in the caller.
//!
//! # False negatives
//! Functions that execute no IC IVAU, but one for everything.

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
    title: "DSB missing before or after the cache maintenance",
    level: Level::Warning,
    finds: "The data cache is cleaned and the instruction cache invalidated without a DSB between \
        them, or the invalidation is not waited for. IC may then refill the instruction cache \
        from memory that the clean has not reached, or still be under way when the code runs.",
    how: "Ways from DC to IC, and from IC to an ISB or a return, without a DSB, in functions that \
        execute IC IVAU. DSB NSH, and DSBs for loads or stores alone, do not count: they wait for \
        this CPU, or for no maintenance; OSH and SY wait for more than ISH and do.",
    false_positives: "A DSB in a function called in between, or behind the return.",
    false_negatives: "Functions that invalidate everything (IC IALLUIS) and no line.",
    history: "The order DC, DSB, IC, DSB, ISB is that of Arm ARM B2.4.4; ESOP 2020 shows by \
        litmus tests what each of them is for.",
    fix: "DC CVAU for all lines, DSB ISH, IC IVAU for all lines, DSB ISH, ISB.",
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
    functions.into_iter().flat_map(|id| of_function(subject, id)).collect()
}

fn of_function(subject: &Subject<'_, '_>, id: FuncId) -> Vec<Finding> {
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
                true => ("after", "does not wait for IC (no DSB behind it)"),
                false => ("before", "invalidates the instruction cache before DC has completed"),
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
                // A call may do it; what does not is not known here.
                Insn::Barrier(Barrier::Dsb) | Insn::Call { .. } => *state = Bits::NONE,
                Insn::Barrier(Barrier::Isb) if state.meets(INVALIDATED) => {
                    self.found.borrow_mut().insert((true, event.at));
                }
                _ => {}
            }
        }
    }
}
