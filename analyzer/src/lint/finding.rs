//! Findings, and what was looked at.

use super::rule::{Level, RuleDescriptor};
use super::subject::Subject;
use crate::addr::Svma;
use crate::program::FuncId;
use std::time::Duration;

/// What happens at a step of a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Where the path begins: a function that others can call.
    Entry,
    /// A call on the way.
    Call,
    /// Where instructions are patched, or made executable.
    Patch,
    /// A synchronisation, at the wrong place or too weak.
    Sync,
    /// Where the path returns without one.
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

/// How an edge of a witness is known; the weakest decides the confidence.
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
    /// A call through a register that was not resolved, or a step in a function whose
    /// flow of control is a guess: where a BR of it goes was not resolved.
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

/// One step of the way that shows a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessStep {
    /// What happens there.
    pub role: Role,
    /// The function that it happens in.
    pub function: String,
    /// The instruction.
    pub address: Svma,
    /// The function called there, if one is.
    pub callee: Option<String>,
    /// How the call is known; `None` where there is none.
    pub evidence: Option<Evidence>,
}

/// Functions that a finding reaches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affected {
    /// Functions that may return with it.
    pub functions: usize,
    /// Those of them that are exported to modules or other programs.
    pub exported: usize,
    /// Those of them that are system calls.
    pub system_calls: usize,
    /// Names of the best known of them: system calls first, then exported ones.
    pub best_known: Vec<String>,
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Code of the rule.
    pub rule: &'static str,
    /// How bad it is.
    pub level: Level,
    /// The function that is to be mended: the root cause.
    pub function: Option<String>,
    /// Where in it, or the place in data that it is about.
    pub address: Option<Svma>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The way from an entry point to the patch to the return; empty where the
    /// finding is about one place.
    pub witness: Vec<WitnessStep>,
    /// Functions that it reaches.
    pub affected: Affected,
    /// Why upstream holds it to be right, if it does.
    pub tolerated: Option<String>,
    /// What tells the finding from others and does not change with addresses: rule,
    /// functions and call chain; functions by the paths that their symbols are mangled from,
    /// so that those of generic functions may have it together.
    pub fingerprint: String,
}

impl Finding {
    /// A finding about the instruction at `at` in `function`.  `detail` tells it from others
    /// of the rule in the function.
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
        }
    }
}

/// What was looked at, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Functions found.
    pub functions: usize,
    /// Instructions in them.
    pub instructions: usize,
    /// Words of code that no decoder knows.
    pub undecoded: usize,
    /// Calls through registers that were not resolved.
    pub unresolved_calls: usize,
    /// BRs whose targets a table or a constant says.
    pub resolved_jumps: usize,
    /// BRs that use a table of which nothing says where it ends.
    pub guessed_jumps: usize,
    /// BRs of which nothing is known: tail calls through pointers, and others.
    pub unresolved_jumps: usize,
    /// Functions that patch or maintain caches, by name or by what they do.
    pub patchers: usize,
    /// Functions that make other CPUs synchronise.
    pub syncs: usize,
    /// Bounds that were reached, in words: the result is then no proof.
    pub caps: Vec<String>,
}

/// How long a part of the work took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// How long it took.
    pub time: Duration,
}

/// The result for one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LintReport {
    /// What was found, the worst first, then by rule and function.
    pub findings: Vec<Finding>,
    /// What was looked at.
    pub coverage: Coverage,
    /// Whether the file patches code at all: if not, there is nothing to judge.
    pub is_applicable: bool,
    /// Doubts about the models: a function that is said to synchronise and does
    /// not, a name that no function has.
    pub model_warnings: Vec<String>,
    /// Parts of the work with their times.
    pub phases: Vec<Phase>,
}
