//! Findings and coverage: the result of the lint.

use super::rule::{Level, RuleDescriptor};
use super::subject::Subject;
use crate::addr::Svma;
use crate::program::FuncId;
use std::time::Duration;

/// The role of a step in a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The start of the path: a function that other code can enter.
    Entry,
    /// A call on the path.
    Call,
    /// The patch, or the change of protection that makes code executable.
    Patch,
    /// A synchronisation that is too early or too weak.
    Sync,
    /// The return without a synchronisation.
    Exit,
}

impl Role {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Call => "call",
            Self::Patch => "patch",
            Self::Sync => "sync",
            Self::Exit => "exit",
        }
    }
}

/// The evidence for an edge of a witness. The weakest edge decides the confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Evidence {
    /// A direct call (BL).
    Call,
    /// A direct branch into another function (B, B.cond).
    TailCall,
    /// A constant pointer in an argument register of a call.
    Argument,
    /// A pointer in data, relocations applied.
    Data,
    /// A call through a register that was not resolved, or a step in a function with guessed
    /// edges (a BR without known targets).
    Unresolved,
}

impl Evidence {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "bl",
            Self::TailCall => "tail-call",
            Self::Argument => "argument",
            Self::Data => "data-pointer",
            Self::Unresolved => "unresolved",
        }
    }
}

/// One step of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessStep {
    /// Role of the step.
    pub role: Role,
    /// The function that contains the instruction.
    pub function: String,
    /// Address of the instruction.
    pub address: Svma,
    /// The called function, if the step is a call.
    pub callee: Option<String>,
    /// The evidence for the call; `None` if the step has no call.
    pub evidence: Option<Evidence>,
}

/// The functions that a finding affects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affected {
    /// Functions that may return with the obligation.
    pub functions: usize,
    /// Exported functions among them.
    pub exported: usize,
    /// System calls among them.
    pub system_calls: usize,
    /// Names of a few of them: system calls first, then exported functions.
    pub best_known: Vec<String>,
}

/// A finding of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Code of the rule.
    pub rule: &'static str,
    /// Its severity.
    pub level: Level,
    /// The root cause: the function to be repaired.
    pub function: Option<String>,
    /// The instruction in the function, or the data that the finding is about.
    pub address: Option<Svma>,
    /// The defect, in one sentence.
    pub message: String,
    /// The path from an entry point to the patch and back to the return; empty if the finding is
    /// about a single instruction.
    pub witness: Vec<WitnessStep>,
    /// The functions that it affects.
    pub affected: Affected,
    /// The reason why upstream considers the code correct, if it does.
    pub tolerated: Option<String>,
    /// Why the lint takes the code for existing or for fresh code, which decides the level; `None`
    /// if the rule alone decides.
    pub why: Option<String>,
    /// Identifies the finding independently of addresses: rule, functions and call chain.
    /// Functions are named by the path in their mangled symbol, so instances of a generic
    /// function may share a fingerprint.
    pub fingerprint: String,
}

impl Finding {
    /// A finding about the instruction at `at` in `function`. `detail` distinguishes findings of
    /// the same rule in one function.
    pub(super) fn at(
        subject: &Subject<'_, '_>,
        rule: &'static RuleDescriptor,
        level: Level,
        (function, at): (FuncId, Svma),
        detail: &str,
        message: String,
    ) -> Self {
        let name = subject.name(function);
        Self {
            rule: rule.code,
            level,
            fingerprint: format!("{}:{name}:{detail}", rule.code),
            function: Some(name),
            address: Some(at),
            message,
            witness: Vec::new(),
            affected: Affected::default(),
            tolerated: None,
            why: None,
        }
    }
}

/// The parts of the file that were analysed, and the parts that could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Functions found.
    pub functions: usize,
    /// Instructions in them.
    pub instructions: usize,
    /// Code words that no decoder knows.
    pub undecoded: usize,
    /// Calls through registers that were not resolved.
    pub unresolved_calls: usize,
    /// BRs whose targets come from a table or a constant.
    pub resolved_jumps: usize,
    /// BRs with a table whose end is a guess.
    pub guessed_jumps: usize,
    /// BRs with unknown targets: tail calls through pointers, and others.
    pub unresolved_jumps: usize,
    /// Functions that patch or maintain caches, by name or by their instructions.
    pub patchers: usize,
    /// Functions that make other CPUs synchronise.
    pub syncs: usize,
    /// Limits that were reached, as text. The result is then no proof.
    pub caps: Vec<String>,
}

/// Duration of a phase of the analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Name of the phase.
    pub name: &'static str,
    /// Its duration.
    pub time: Duration,
}

/// The result for one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LintReport {
    /// The findings, most severe first, then by rule and function.
    pub findings: Vec<Finding>,
    /// Coverage of the analysis.
    pub coverage: Coverage,
    /// Whether the file patches code. If it does not, the lint has no verdict.
    pub is_applicable: bool,
    /// Doubts about the models: a function that should synchronise by its model but does not, or
    /// a name that no function has.
    pub model_warnings: Vec<String>,
    /// Phases of the analysis.
    pub phases: Vec<Phase>,
}
