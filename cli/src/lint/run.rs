//! `jlctl lint`: finds code that patches instructions without synchronising the other CPUs.

use super::explain;
use super::file::{self, Kernel, Kernels, Linted, Linting};
use super::records::{AgainstRecord, BaselineRecord, FindingRecord, LintDocument, LintedFile};
use super::report::{self, Layout};
use crate::args::Global;
use crate::args::Lint;
use crate::lint::baseline;
use crate::lint::suppression;
use crate::open::files::{Candidate, candidates_and_members, images};
use crate::open::threads;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use crate::terminal::progress::Progress;
use crate::terminal::wrapping::WIDTH;
use jlctl_analyzer::lint::{ARCHITECTURE, Config, RULES, RuleDescriptor};
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, args: &Lint) -> anyhow::Result<Outcome> {
    if let Some(code) = &args.explain {
        let rule = rule("--explain", code)?;
        let width = width(global);
        output::write_result(global, |sink| explain::write(rule, width, sink))?;
        return Ok(Outcome::Clean);
    }
    for code in &args.rules {
        rule("--rules", code)?;
    }
    let config = args.config.as_deref().map(config).transpose()?.unwrap_or_default();
    let known = args.baseline.as_deref().map(baseline::read).transpose()?;
    let is_selected =
        |code: &str| args.rules.is_empty() || args.rules.iter().any(|rule| rule == code);
    let progress = Progress::new(global);
    let named = images(&args.files)?;
    let mut linted = lint_all(&named, args, &config, &progress)?;
    let other = match &args.against {
        Some(path) => Some(lint_all(std::slice::from_ref(path), args, &config, &progress)?),
        None => None,
    };
    let mut unused_suppressions = suppression::suppress(&mut linted.findings, &config.suppressions);
    // A rule that did not run has no findings.
    unused_suppressions.retain(|unused| unused.rule.as_deref().is_none_or(is_selected));
    let passed = linted.passed + other.as_ref().map_or(0, |other| other.passed);
    let against = other.map(|mut other| {
        let unused = suppression::suppress(&mut other.findings, &config.suppressions);
        // A suppression that matches in either build is used.
        unused_suppressions.retain(|one| unused.iter().any(|other| other.text == one.text));
        let gained = suppression::compare(&mut linted.findings, other.findings);
        AgainstRecord { files: other.files, gained }
    });
    let baseline = known.map(|known| {
        let known = known.into_iter().filter(|known| is_selected(&known.rule)).collect();
        let absent = baseline::mark(&mut linted.findings, known);
        let path = args.baseline.as_deref().unwrap_or(Path::new(""));
        BaselineRecord { path: path.to_string_lossy().into_owned(), absent }
    });
    if let Some(path) = &args.write_baseline {
        refuse_other_architectures(&linted.files, &linted.findings)?;
        baseline::write(path, &linted.findings)?;
        baseline::accept(&mut linted.findings);
    }
    let document = LintDocument {
        files: linted.files,
        findings: linted.findings,
        fail_on: args.fail_on.0,
        baseline,
        unused_suppressions,
        against,
        passed,
    };
    conclude(global, args, &document, &progress)
}

/// Writes the report, and determines the outcome of the run.
fn conclude(
    global: &Global,
    args: &Lint,
    document: &LintDocument,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    refuse_other_architectures(&document.files, &document.findings)?;
    let directory = std::env::current_dir().unwrap_or_default();
    let layout = Layout { format: args.format, width: width(global), directory: &directory };
    progress.phase("write the report", 1, |_| {
        output::write_result(global, |sink| report::write(document, layout, sink))
    })?;
    warn(document, progress);
    let fails = document.failing() > 0 || document.unread() > 0;
    Ok(if fails { Outcome::Findings } else { Outcome::Clean })
}

/// Prints the warnings that a report for programs might hide.
fn warn(document: &LintDocument, progress: &Progress) {
    let others = document.against.iter().flat_map(|against| &against.files);
    for file in document.files.iter().chain(others) {
        if let Some(error) = &file.error {
            progress.warn(&format!("not linted: {error}"));
        }
    }
    for unused in &document.unused_suppressions {
        progress.warn(&format!("suppression {}: matches no finding", unused.text));
    }
}

/// Refuses a run in which no file has an architecture that the rules support: a gate must not pass
/// without checking anything.
fn refuse_other_architectures(
    files: &[LintedFile],
    findings: &[FindingRecord],
) -> anyhow::Result<()> {
    let is_other = |file: &LintedFile| file.error.is_none() && !file.has_known_arch();
    match files {
        [first, ..] if findings.is_empty() && files.iter().all(is_other) => {
            let (path, arch) = (&first.path, first.arch.unwrap_or("unknown"));
            let expected = format!("expected code for {ARCHITECTURE}, found {arch}");
            let what = format!("{path}: not applicable: {expected}");
            Err(failure(Kind::Refused, what))
        }
        _ => Ok(()),
    }
}

/// The results of some files.
#[derive(Default)]
struct Files {
    files: Vec<LintedFile>,
    findings: Vec<FindingRecord>,
    passed: usize,
}

impl Files {
    fn take(&mut self, Linted { file, findings, .. }: Linted) {
        let file_index = self.files.len();
        let findings = findings.into_iter();
        self.findings.extend(findings.map(|found| FindingRecord { file_index, ..found }));
        self.files.push(file);
    }
}

/// Lints the files `named`, and the files in the directories among them. Modules are linted after
/// all other files, since they call functions of a kernel.
///
/// # Errors
/// If no file could be read.
fn lint_all(
    named: &[PathBuf],
    args: &Lint,
    config: &Config,
    progress: &Progress,
) -> anyhow::Result<Files> {
    let candidates = candidates_and_members(named)?;
    let of_name = |candidate: &Candidate| file::is_module_name(&candidate.path);
    let is_module: Vec<bool> = candidates.iter().map(of_name).collect();
    let first: Vec<(usize, &Candidate)> =
        candidates.iter().enumerate().filter(|(at, _)| !is_module[*at]).collect();
    let mut lintings: Vec<Option<Linting>> = candidates.iter().map(|_| None).collect();
    let mut kernels: Vec<Kernel> = Vec::new();
    for (at, mut linting) in lint_some(&first, None, args, config, progress) {
        if let Linting::Done(linted) = &mut linting {
            kernels.extend(linted.kernel.take());
        }
        lintings[at] = Some(linting);
    }
    let is_left = |at: usize| matches!(lintings[at], None | Some(Linting::Module));
    let modules: Vec<(usize, &Candidate)> =
        candidates.iter().enumerate().filter(|(at, _)| is_left(*at)).collect();
    for (at, linting) in lint_some(&modules, Some(&kernels), args, config, progress) {
        lintings[at] = Some(linting);
    }
    let mut all = Files::default();
    for linting in lintings {
        match linting {
            Some(Linting::Done(linted)) => all.take(*linted),
            Some(Linting::Passed) => all.passed += 1,
            // The second pass leaves no file.
            Some(Linting::Module) | None => {}
        }
    }
    demand_something(named, &all.files)?;
    Ok(all)
}

/// Lints some of the candidates, each with its index among them all.
fn lint_some(
    candidates: &[(usize, &Candidate)],
    kernels: Kernels<'_>,
    args: &Lint,
    config: &Config,
    progress: &Progress,
) -> Vec<(usize, Linting)> {
    match candidates {
        [] => Vec::new(),
        // The phases of a single file are shown.
        [(at, one)] => vec![(*at, file::read(one, kernels, args, config, progress))],
        several => progress.phase("lint the files", several.len(), |done| {
            let quiet = Progress::none();
            let jobs = args.jobs.map_or_else(threads::of_cores, NonZeroUsize::get);
            threads::one_by_one(jobs, several, |_, (at, candidate)| {
                let linting = file::read(candidate, kernels, args, config, &quiet);
                done(1);
                (*at, linting)
            })
        }),
    }
}

fn demand_something(named: &[PathBuf], files: &[LintedFile]) -> anyhow::Result<()> {
    if files.iter().any(|file| file.error.is_none()) {
        return Ok(());
    }
    let errors: Vec<&str> = files.iter().filter_map(|file| file.error.as_deref()).collect();
    let what = match &errors[..] {
        [] => {
            let named: Vec<String> = named.iter().map(|path| path.display().to_string()).collect();
            format!("{}: no images found", named.join(", "))
        }
        errors => errors.join("; "),
    };
    Err(failure(Kind::Input, what))
}

fn config(path: &Path) -> anyhow::Result<Config> {
    let wrong = |what: String| failure(Kind::Input, format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Config::parse(&text).map_err(|error| wrong(error.to_string()))
}

fn rule(option: &str, code: &str) -> anyhow::Result<&'static RuleDescriptor> {
    let found = RULES.iter().copied().find(|rule| rule.code == code);
    found.ok_or_else(|| {
        let known: Vec<String> =
            RULES.iter().map(|rule| format!("  {}  {}", rule.code, rule.name)).collect();
        let what = format!("{option} {code}: no such rule; there are\n{}", known.join("\n"));
        failure(Kind::Usage, what)
    })
}

/// Width of the terminal that text is written to, within limits.
fn width(global: &Global) -> usize {
    if global.output.is_some() || !std::io::stdout().is_terminal() {
        return WIDTH;
    }
    let size = terminal_size::terminal_size();
    size.map_or(WIDTH, |(width, _)| usize::from(width.0).clamp(60, 120))
}
