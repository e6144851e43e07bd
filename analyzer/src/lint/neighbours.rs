//! Findings about one place, and what a function comes to through its calls and blocks.

use super::finding::{Affected, Finding};
use super::rule::{Level, RuleDescriptor};
use super::subject::Subject;
use crate::addr::Svma;
use crate::program::{Cfg, FuncId};

/// A finding about the instruction at `at` in `function`.  `detail` tells it from others
/// of the rule in the function.
pub(super) fn finding(
    subject: &Subject<'_, '_>,
    rule: &'static RuleDescriptor,
    level: Level,
    (function, at): (FuncId, Svma),
    detail: &str,
    message: String,
) -> Finding {
    let name = subject.name(function);
    Finding {
        rule: rule.code,
        level,
        fingerprint: format!("{}:{name}:{detail}", rule.code),
        function: Some(name),
        address: Some(at),
        message,
        witness: Vec::new(),
        affected: Affected::default(),
        tolerated: None,
    }
}

/// Functions that `id` calls directly, up to `depth` calls deep, itself included; at most
/// some hundred.
pub(super) fn callees(subject: &Subject<'_, '_>, id: FuncId, depth: usize) -> Vec<FuncId> {
    const MOST: usize = 400;
    let mut all = vec![id];
    let mut layer = vec![id];
    for _ in 0..depth {
        let mut next: Vec<FuncId> = layer
            .iter()
            .flat_map(|id| subject.program.calls_of(*id))
            .map(|call| call.callee)
            .filter(|id| !all.contains(id))
            .collect();
        next.sort_unstable();
        next.dedup();
        all.extend(&next);
        if all.len() > MOST {
            break;
        }
        layer = next;
    }
    all
}

/// Whether a way of at least one edge leads from one block to another.
pub(super) fn reaches(cfg: &Cfg, from: usize, to: usize) -> bool {
    let mut seen = vec![false; cfg.blocks.len()];
    let mut stack = vec![from];
    while let Some(block) = stack.pop() {
        for next in &cfg.blocks[block].successors {
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
