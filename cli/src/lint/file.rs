//! One file that is linted. The file is closed once it is analysed; the records that remain own
//! their strings, so that the files being read bound memory.

use super::records::{CoverageRecord, FindingAddress, FindingRecord, LintedFile, StepRecord};
use crate::args::Lint;
use crate::open::debug_info;
use crate::open::files::Candidate;
use crate::open::input::{Input, is_no_image};
use crate::schema::{FrameRecord, Hex};
use crate::terminal::progress::Progress;
use anyhow::Context as _;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::{Image, ImageKind};
use jlctl_analyzer::jump_table::{JumpTable, LocateError};
use jlctl_analyzer::lint::{Config, Coverage, Finding, KernelSummary, LintReport, lint_in};
use std::collections::HashMap;
use std::path::Path;

/// The result of linting a file.
pub(crate) enum Linting {
    /// The file was analysed, or could not be read.
    Done(Box<Linted>),
    /// A module, which is read after the kernels among the files.
    Module,
    /// The file was found in a directory and is not an image.
    Passed,
}

/// A file that was linted.
pub(crate) struct Linted {
    pub(crate) file: LintedFile,
    pub(crate) findings: Vec<FindingRecord>,
    /// The summary that its modules need, if the file is a kernel.
    pub(crate) kernel: Option<Kernel>,
}

/// The summary of a kernel that its modules need.
pub(crate) struct Kernel {
    release: Option<String>,
    summary: KernelSummary,
}

/// The kernels that modules are linted with; `None` while the kernels are read.
pub(crate) type Kernels<'a> = Option<&'a [Kernel]>;

/// Whether a file is a module by its name; the file is not opened.
pub(crate) fn is_module_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| name.ends_with(".ko") || name.contains(".ko."))
}

/// Lints a file.
pub(crate) fn read(
    candidate: &Candidate,
    kernels: Kernels<'_>,
    args: &Lint,
    config: &Config,
    progress: &Progress,
) -> Linting {
    match try_read(candidate, kernels, args, config, progress) {
        Ok(Some(linted)) => Linting::Done(Box::new(linted)),
        Ok(None) => Linting::Module,
        Err(error) if candidate.is_found && is_no_image(&error) => Linting::Passed,
        Err(error) => {
            let path = candidate.name();
            let file = LintedFile::failed(path, format!("{error:#}"));
            Linting::Done(Box::new(Linted { file, findings: Vec::new(), kernel: None }))
        }
    }
}

fn try_read(
    candidate: &Candidate,
    kernels: Kernels<'_>,
    args: &Lint,
    config: &Config,
    progress: &Progress,
) -> anyhow::Result<Option<Linted>> {
    let path = candidate.name();
    let input = Input::open_candidate(candidate, &args.debug_dir, progress)?;
    let image = input.image(progress)?;
    let is_module = image.is_kernel() && image.kind() == ImageKind::Rel;
    if is_module && kernels.is_none() {
        return Ok(None);
    }
    let mut warnings = Vec::new();
    let table = progress.phase("read the jump table", 1, |_| JumpTable::read(&image));
    let table = match table {
        Ok(table) => Some(table),
        // Most programs have no jump table.
        Err(LocateError::NoTable { .. } | LocateError::NoChain { .. }) => None,
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    };
    let kernel = kernels.filter(|_| is_module).and_then(|kernels| kernel_of(&image, kernels));
    let (mut report, summary) = lint_in(&image, table.as_ref(), config, kernel);
    report.phases.iter().for_each(|phase| progress.took(phase.name, phase.time));
    let wanted = |finding: &Finding| args.rules.iter().any(|rule| rule == finding.rule);
    report.findings.retain(|finding| args.rules.is_empty() || wanted(finding));
    let sources = if args.no_source {
        Sources::new()
    } else {
        sources(&input, &image, &report, progress, &mut warnings).with_context(|| path.clone())?
    };
    let file = file_record(path, &image, &report, warnings);
    let to_record = |finding| finding_record(finding, &image, &sources, &file.path);
    let findings = report.findings.into_iter().map(to_record).collect();
    let is_kernel = image.is_kernel() && !is_module;
    let release = image.release().map(str::to_owned);
    let kernel = is_kernel.then_some(Kernel { release, summary });
    Ok(Some(Linted { file, findings, kernel }))
}

/// The kernel that a module is loaded into: the kernel of the same release, or else the only
/// kernel.
fn kernel_of<'a>(module: &Image<'_>, kernels: &'a [Kernel]) -> Option<&'a KernelSummary> {
    let is_same = |kernel: &&Kernel| kernel.release.as_deref() == module.release();
    let only = kernels.first().filter(|_| kernels.len() == 1);
    kernels.iter().find(is_same).or(only).map(|kernel| &kernel.summary)
}

/// Source lines by address.
type Sources = HashMap<Svma, FrameRecord<'static>>;

/// Source lines of all addresses in findings.
fn sources(
    input: &Input,
    image: &Image<'_>,
    report: &LintReport,
    progress: &Progress,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Sources> {
    let of_finding = |finding: &Finding| {
        let steps = finding.witness.iter().map(|step| step.address);
        finding.address.into_iter().chain(steps).collect::<Vec<_>>()
    };
    let mut addresses: Vec<Svma> = report.findings.iter().flat_map(of_finding).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Ok(Sources::new());
    }
    let mut faults = Vec::new();
    let Some(debug_info) = debug_info::open(input, image, progress, &mut faults)? else {
        warnings.extend(faults.iter().map(|fault| fault.defect.to_string()));
        return Ok(Sources::new());
    };
    let lines = debug_info::lines(&debug_info, input, &addresses, progress, &mut faults);
    warnings.extend(faults.iter().map(|fault| fault.defect.to_string()));
    let found = addresses.into_iter().zip(lines);
    Ok(found.filter_map(|(address, line)| Some((address, line?))).collect())
}

fn file_record(
    path: String,
    image: &Image<'_>,
    report: &LintReport,
    warnings: Vec<String>,
) -> LintedFile {
    let Coverage { functions, instructions, patchers, syncs, .. } = report.coverage;
    let arch = image.arch().name();
    let mut file = LintedFile {
        path,
        error: None,
        arch: Some(arch),
        build_id: image.build_id().map(|id| Hex(id.into()).to_string()),
        applicable: Some(report.is_applicable),
        functions: Some(functions),
        instructions: Some(instructions),
        patchers: Some(patchers),
        syncs: Some(syncs),
        coverage: Some(coverage_record(&report.coverage)),
        model_warnings: report.model_warnings.clone(),
        warnings,
    };
    if !file.has_known_arch() {
        file.applicable = None;
    }
    file
}

fn coverage_record(coverage: &Coverage) -> CoverageRecord {
    CoverageRecord {
        undecoded: coverage.undecoded,
        unresolved_calls: coverage.unresolved_calls,
        resolved_jumps: coverage.resolved_jumps,
        guessed_jumps: coverage.guessed_jumps,
        unresolved_jumps: coverage.unresolved_jumps,
        caps: coverage.caps.clone(),
    }
}

fn finding_record(
    finding: Finding,
    image: &Image<'_>,
    sources: &Sources,
    path: &str,
) -> FindingRecord {
    let address_of = |address| finding_address(image, address);
    let source = |address: Svma| sources.get(&address).cloned();
    let confidence = finding.witness.iter().filter_map(|step| step.evidence).max();
    let witness = finding.witness.into_iter().map(|step| StepRecord {
        function: step.function,
        address: address_of(step.address),
        role: step.role,
        callee: step.callee,
        evidence: step.evidence,
        source: source(step.address),
    });
    FindingRecord {
        rule: finding.rule,
        level: finding.level,
        file: path.to_owned(),
        // Set once all files are read.
        file_index: 0,
        function: finding.function,
        address: finding.address.map(address_of),
        source: finding.address.and_then(source),
        message: image.localize(&finding.message).into_owned(),
        witness: witness.collect(),
        confidence,
        affected: finding.affected.into(),
        tolerated: finding.tolerated,
        why: finding.why,
        fingerprint: finding.fingerprint,
        suppressed: None,
        reason: None,
        baseline: None,
        against: None,
    }
}

fn finding_address(image: &Image<'_>, address: Svma) -> FindingAddress {
    let section = image.section_at(address).map(|id| image.section(id));
    FindingAddress {
        text: image.address_text(address),
        stated: (image.kind() != ImageKind::Rel).then_some(address.0),
        section: section.map(|section| {
            let offset = address.0.saturating_sub(section.range.start().0);
            (section.name.to_string(), offset)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jlctl_analyzer::lint::{Affected, Evidence, Level, Role, WitnessStep};
    use jlctl_synthetic::demo;
    use jlctl_synthetic::spec::{FunctionSpec, ImageSpec};

    fn report(address: Svma) -> LintReport {
        let step = |role, evidence| WitnessStep {
            role,
            function: "demo_open".to_owned(),
            address,
            callee: None,
            evidence,
        };
        let steps = [
            step(Role::Entry, Some(Evidence::Data)),
            step(Role::Call, Some(Evidence::Call)),
            step(Role::Exit, None),
        ];
        let finding = Finding {
            rule: "JL001",
            level: Level::Error,
            function: Some("demo_open".to_owned()),
            address: Some(address),
            message: format!("the patch at {address}"),
            witness: steps.to_vec(),
            affected: Affected { functions: 3, ..Affected::default() },
            tolerated: None,
            why: None,
            fingerprint: "f".to_owned(),
        };
        LintReport { findings: vec![finding], is_applicable: true, ..LintReport::default() }
    }

    #[test]
    fn findings_own_what_reports_need() {
        let bytes = demo::spec().build();
        let image = Image::parse(&bytes).unwrap();
        let text = image.section_named(".text").unwrap();
        let (name, address) = (text.name.to_string(), text.range.start().wrapping_add(8));
        let report = report(address);
        let file = file_record("x".to_owned(), &image, &report, Vec::new());
        assert_eq!((file.arch, file.applicable), (Some("arm64"), Some(true)));
        assert!(file.build_id.is_some_and(|id| id.len() == 40));
        let finding = report.findings.into_iter().next().unwrap();
        let record = finding_record(finding, &image, &Sources::new(), "x");
        let found = record.address.unwrap();
        assert_eq!((found.stated, found.text), (Some(address.0), address.to_string()));
        assert_eq!(found.section, Some((name, 8)));
        assert_eq!(record.confidence, Some(Evidence::Data), "the weakest");
        assert_eq!((record.file.as_str(), record.affected.functions), ("x", 3));
    }

    #[test]
    fn addresses_in_modules_are_sections_and_offsets() {
        let spec = ImageSpec::module("m").function(FunctionSpec::new("function", "m.c", 16));
        let bytes = spec.build();
        let image = Image::parse(&bytes).unwrap();
        let address = image.section_named(".text").unwrap().range.start().wrapping_add(8);
        let finding = report(address).findings.remove(0);
        let record = finding_record(finding, &image, &Sources::new(), "m.ko");
        let found = record.address.unwrap();
        assert_eq!((found.stated, found.text.as_str()), (None, ".text+0x8"));
        assert_eq!(record.message, "the patch at .text+0x8");
    }
}
