//! Runs the rules over one file.

use super::code_stores::code_stores;
use super::finding::{Finding, LintReport, Phase};
use super::model::{Config, FunctionRole, KernelSummary};
use super::rule::Level;
use super::rules::{self, jl001, jl009, jl010};
use super::subject::Subject;
use super::syncs::Syncs;
use super::{fingerprint, obligation, reach};
use crate::debug_info::with_paths;
use crate::image::Image;
use crate::jump_table::JumpTable;
use crate::program::FuncId;
use crate::semantics::{Barrier, Control};
use std::collections::HashMap;
use std::time::Instant;

/// The supported architecture.
pub const ARCHITECTURE: &str = "arm64";

/// Functions through which an obligation is propagated.
const MAX_AFFECTED: usize = 20_000;
/// The same limit for an obligation that is a note.
const MAX_AFFECTED_NOTE: usize = 512;

/// Analyses the code of `image`, whose jump table is `table`. For an architecture other than
/// [`ARCHITECTURE`], only the table is checked, and the report says so.
#[must_use]
pub fn lint(image: &Image<'_>, table: Option<&JumpTable<'_>>, config: &Config) -> LintReport {
    lint_in(image, table, config, None).0
}

/// As [`lint`], for a module that is loaded into the kernel of `kernel`. Also returns the summary
/// of the image, for the case that it is a kernel.
#[must_use]
pub fn lint_in(
    image: &Image<'_>,
    table: Option<&JumpTable<'_>>,
    config: &Config,
    kernel: Option<&KernelSummary>,
) -> (LintReport, KernelSummary) {
    let mut summary = KernelSummary::default();
    let mut report = LintReport::default();
    let mut start = Instant::now();
    let mut phase = |report: &mut LintReport, name| {
        report.phases.push(Phase { name, time: start.elapsed() });
        start = Instant::now();
    };
    report.findings.extend(table.map(|table| jl010::findings(image, table)).unwrap_or_default());
    if image.arch().name() != ARCHITECTURE {
        let found = image.arch().name();
        report.coverage.caps.push(format!("code of {found} is not analysed, only its jump table"));
        return (report, summary);
    }
    let subject = Subject::new(image, table, config, kernel);
    phase(&mut report, "recover the program");
    let syncs = Syncs::find(&subject);
    phase(&mut report, "find synchronisations");
    let code_stores = code_stores(&subject);
    let roots = obligation::roots(&subject, &syncs.primitives, &code_stores);
    let mut given_up = syncs.given_up + subject.unfollowed.get();
    for root in &roots {
        let is_note =
            !root.patches || matches!(subject.role(root.function), Some(FunctionRole::Tolerated));
        let limit = if is_note { MAX_AFFECTED_NOTE } else { MAX_AFFECTED };
        let reach = reach::reach(&subject, &syncs, root, limit, &mut given_up);
        let finding = jl001::finding(&subject, &syncs, root, &reach);
        if root.patches {
            let is_unsynced = finding.as_ref().is_some_and(|found| found.level > Level::Note);
            summary.patchers.insert(subject.name(root.function), is_unsynced);
        }
        if finding.as_ref().is_some_and(|finding| finding.level == Level::Error) {
            add_pending(&mut summary, &subject, &subject.name(root.function), &reach);
        }
        report.findings.extend(finding);
    }
    add_syncs(&mut summary, &subject, &syncs);
    summary.starting_states = subject.starting_states();
    phase(&mut report, "follow obligations");
    report.findings.extend(rules::findings(&subject, &syncs, &roots, &code_stores));
    phase(&mut report, "other rules");
    jl009::combine(&mut report.findings);
    report.findings.sort_by(|a, b| {
        (b.level, a.rule, &a.function, a.address).cmp(&(a.level, b.rule, &b.function, b.address))
    });
    for finding in &mut report.findings {
        // The hash in a symbol changes with the compiler and the directory of the build.
        let stable = fingerprint::without_addresses(&subject, &finding.fingerprint);
        finding.fingerprint = with_paths(&stable).into_owned();
    }
    report.findings = merge_by_fingerprint(std::mem::take(&mut report.findings));
    cover(&mut report, &subject, &syncs, &roots, given_up);
    report.is_applicable |= !code_stores.is_empty();
    (report, summary)
}

/// Adds the exported functions that the obligation of `root` reaches.
fn add_pending(
    summary: &mut KernelSummary,
    subject: &Subject<'_, '_>,
    root: &str,
    reach: &reach::Reach,
) {
    for (id, _) in reach.functions.iter().filter(|(id, _)| subject.is_exported(*id)) {
        summary.pending.entry(subject.name(*id)).or_insert_with(|| root.to_owned());
    }
}

/// Adds the exported functions that synchronise.
fn add_syncs(summary: &mut KernelSummary, subject: &Subject<'_, '_>, syncs: &Syncs) {
    let exported = || subject.program.ids().filter(|id| subject.is_exported(*id));
    summary.functions.extend(exported().map(|id| subject.name(id)));
    let is_sync = |id: &FuncId| {
        let role = subject.role(*id);
        syncs.always(*id)
            || matches!(role, Some(FunctionRole::Syncs | FunctionRole::PatchesAndSyncs))
    };
    summary.syncs.extend(exported().filter(is_sync).map(|id| subject.name(id)));
}

/// Keeps the first finding of each fingerprint and adds up the functions that all of them affect.
fn merge_by_fingerprint(findings: Vec<Finding>) -> Vec<Finding> {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Finding> = Vec::new();
    for finding in findings {
        match first.get(&finding.fingerprint) {
            Some(at) => {
                let (all, more) = (&mut kept[*at].affected, finding.affected);
                all.functions += more.functions;
                all.exported += more.exported;
                all.system_calls += more.system_calls;
            }
            None => {
                first.insert(finding.fingerprint.clone(), kept.len());
                kept.push(finding);
            }
        }
    }
    kept
}

/// Warnings about functions that should synchronise by their model, but reach nothing that could.
fn model_doubts(subject: &Subject<'_, '_>) -> Vec<String> {
    let should_sync = |id: &FuncId| {
        matches!(subject.role(*id), Some(FunctionRole::Syncs | FunctionRole::ConsumerSyncs))
    };
    let may_sync = |id: FuncId| {
        let by_call = matches!(
            subject.role(id),
            Some(FunctionRole::SyncsIfArgument(_) | FunctionRole::SyncsIfCallbackIsbs { .. })
        );
        let mut events = subject.program.events_of(id).iter();
        by_call
            || events.any(|event| {
                matches!(event.control, Control::SupervisorCall | Control::Barrier(Barrier::Isb))
            })
    };
    subject
        .program
        .ids()
        .filter(should_sync)
        .filter(|id| subject.program.import_name(*id).is_none())
        .filter(|id| !subject.callees(*id, 3).into_iter().any(may_sync))
        .map(|id| {
            format!(
                "{}: a model says that it synchronises; expected an interrupt, an ISB \
                 or a system call in it, found none",
                subject.name(id)
            )
        })
        .collect()
}

fn cover(
    report: &mut LintReport,
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    roots: &[obligation::Root],
    given_up: usize,
) {
    let program = &subject.program;
    let is_patcher = |role| {
        matches!(role, FunctionRole::Patches | FunctionRole::Writes | FunctionRole::Maintains)
    };
    let primitives = program
        .ids()
        .filter(|id| subject.role(*id).is_some_and(is_patcher))
        .filter(|id| program.import_name(*id).is_none())
        .count();
    let coverage = &mut report.coverage;
    coverage.functions = program.functions().len();
    coverage.instructions = program.instructions();
    coverage.undecoded = program.undecoded();
    coverage.unresolved_calls = program.unresolved_calls();
    let guessed = program.branch_tables().iter().filter(|table| table.is_guess).count();
    coverage.guessed_jumps = guessed;
    coverage.resolved_jumps = program.branch_tables().len() - guessed;
    coverage.unresolved_jumps = program.jumps().count() - program.branch_tables().len();
    coverage.patchers = roots.len() + primitives;
    coverage.syncs = syncs.count(subject);
    let bounds = [
        (given_up, "too many steps, or too much state to track"),
        (program.incomplete_jumps(), "too many paths to their indirect jumps"),
    ];
    for (count, why) in bounds.into_iter().filter(|(count, _)| *count > 0) {
        let functions = if count == 1 { "function was" } else { "functions were" };
        coverage.caps.push(format!("{count} {functions} not analysed to the end ({why})"));
    }
    report.is_applicable = !roots.is_empty() || primitives > 0;
    report.model_warnings = model_doubts(subject);
}
