//! Witnesses are paths: each step is replayed on the control flow, edge by edge.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::lint::{Evidence, Finding, Role, WitnessStep};
use jlctl_analyzer::program::{Cfg, Exit, FuncId, RecoveredProgram};

/// The program of an image, with its indirect jumps resolved.
pub(crate) struct Replay<'data> {
    program: RecoveredProgram<'data>,
}

impl<'data> Replay<'data> {
    pub(crate) fn new(image: &Image<'data>, table: Option<&JumpTable<'_>>) -> Self {
        let mut program = RecoveredProgram::recover(image, table);
        program.resolve_jumps(image);
        Self { program }
    }

    /// What is wrong with the witness of a finding; `None` if it is a path.
    pub(crate) fn fault(&self, finding: &Finding) -> Option<String> {
        let steps = &finding.witness;
        let fault = (0..steps.len()).find_map(|index| self.fault_of_step(&steps[..=index]))?;
        Some(format!("{} {:?}: {fault}", finding.rule, finding.function))
    }

    fn fault_of_step(&self, steps: &[WitnessStep]) -> Option<String> {
        let (step, before) = steps.split_last()?;
        let text = |what: &str| Some(format!("{:?} at {:#x}: {what}", step.role, step.address.0));
        let Some(function) = self.program.function_at(step.address) else {
            return text("no function contains it");
        };
        let cfg = Cfg::new(&self.program, function);
        let in_function =
            |earlier: &&WitnessStep| self.program.function_at(earlier.address) == Some(function);
        let from = match (before.iter().rfind(in_function), before.last()) {
            (Some(earlier), _) => earlier.address,
            // The first step in a function follows a call of it.
            (None, Some(call)) if call.callee.as_deref() == Some(&*step.function) => {
                self.program.function(function).range.start()
            }
            (None, None) => self.program.function(function).range.start(),
            (None, Some(_)) => return text("the step before it does not call its function"),
        };
        if !is_path(&cfg, from, step.address) {
            return text(&format!("no path leads there from {:#x}", from.0));
        }
        match step.role {
            Role::Exit if !leaves_at(&cfg, step.address) => {
                text("the function does not leave there")
            }
            Role::Call if !self.calls(function, step) => text("it calls no such function"),
            _ => None,
        }
    }

    /// Whether the function calls or jumps to another at the step. A callback is passed on, and a
    /// call that was not resolved has no target.
    fn calls(&self, function: FuncId, step: &WitnessStep) -> bool {
        let is_indirect = matches!(
            step.evidence,
            Some(Evidence::Argument | Evidence::Data | Evidence::Unresolved)
        );
        is_indirect || self.program.calls_of(function).iter().any(|call| call.at == step.address)
    }
}

/// Whether a path leads from one instruction to another; an instruction leads to itself.
fn is_path(cfg: &Cfg, from: Svma, to: Svma) -> bool {
    let (Some(first), Some(last)) = (cfg.block_at(from), cfg.block_at(to)) else { return false };
    if first == last && from <= to {
        return true;
    }
    let mut seen = vec![false; cfg.blocks.len()];
    let mut queue = vec![first];
    while let Some(block) = queue.pop() {
        for next in cfg.blocks[block].successors.iter().map(|next| next.index()) {
            if next == last {
                return true;
            }
            if !std::mem::replace(&mut seen[next], true) {
                queue.push(next);
            }
        }
    }
    false
}

fn leaves_at(cfg: &Cfg, address: Svma) -> bool {
    let exits = cfg.blocks.iter().flat_map(|block| &block.exits);
    exits.into_iter().any(|exit| match *exit {
        Exit::Return { at } | Exit::TailCall { at, .. } | Exit::Unknown { at } => at == address,
    })
}
