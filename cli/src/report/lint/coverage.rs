//! What was looked at in each file and what could not be, and what else a person must know
//! of the run.

use super::page::{Page, whole};
use super::record::{CoverageRecord, Document, FileRecord};
use crate::report::style::{count, grouped};

pub(super) fn write(document: &Document, page: &mut Page<'_>) -> anyhow::Result<()> {
    for file in &document.files {
        self::file(page, "coverage", file)?;
    }
    for file in document.against.iter().flat_map(|against| &against.files) {
        self::file(page, "against", file)?;
    }
    if document.passed > 0 {
        let are = if document.passed == 1 { "is no image" } else { "are no images" };
        page.label("passed", &format!("{} {are}", count(document.passed, "file")))?;
    }
    if let Some(baseline) = &document.baseline {
        for known in &baseline.absent {
            let function = known.function.as_deref().unwrap_or("no function");
            let text = format!("{} {function}, {}: not found any more", known.rule, known.file);
            page.label("baseline", &text)?;
        }
    }
    for unused in &document.unused_suppressions {
        page.label("unused", &format!("suppression {}: {}", unused.text, unused.reason))?;
    }
    Ok(())
}

fn file(page: &mut Page<'_>, label: &str, file: &FileRecord) -> anyhow::Result<()> {
    if let Some(error) = &file.error {
        // Most errors name the file themselves.
        let is_named = error.contains(&file.path);
        let error = if is_named { error.clone() } else { format!("{}: {error}", file.path) };
        return page.label("not read", &error);
    }
    page.label(label, &looked_at(file))?;
    for cap in file.coverage.iter().flat_map(|coverage| &coverage.caps) {
        page.label("limit", &format!("{}: {cap}; the result is no proof", file.path))?;
    }
    for warning in &file.model_warnings {
        page.label("model", &format!("{}: {warning}", file.path))?;
    }
    for warning in &file.warnings {
        page.label("warning", &format!("{}: {warning}", file.path))?;
    }
    Ok(())
}

/// How many BRs there are, and of how many it is not known where they go.
fn jumps(coverage: &CoverageRecord) -> String {
    let CoverageRecord { resolved_jumps, guessed_jumps, unresolved_jumps, .. } = coverage;
    let all = count(resolved_jumps + guessed_jumps + unresolved_jumps, "indirect jump");
    let (guessed, unresolved) = (grouped(*guessed_jumps), grouped(*unresolved_jumps));
    format!("{all} ({guessed} guessed, {unresolved} unresolved)")
}

/// One line on a file, as far as it was looked at.
fn looked_at(file: &FileRecord) -> String {
    let path = &file.path;
    if !file.has_known_arch() {
        let arch = file.arch.unwrap_or("unknown");
        return format!("{path}: not applicable, there are rules for arm64 and this is {arch}");
    }
    let plural = |number: Option<usize>, what: &str| number.map(|number| count(number, what));
    let coverage = file.coverage.as_ref();
    let parts = [
        plural(file.functions, "function"),
        plural(file.instructions, "instruction"),
        coverage.map(|coverage| count(coverage.undecoded, "undecoded word")),
        coverage.map(|coverage| count(coverage.unresolved_calls, "unresolved indirect call")),
        coverage.map(jumps),
        plural(file.patchers, "patcher"),
        plural(file.syncs, "sync"),
    ];
    let caps = coverage.map_or(0, |coverage| coverage.caps.len());
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.extend((caps > 0).then(|| format!("{} reached", count(caps, "limit"))));
    let not =
        if file.applicable == Some(false) { "not applicable, it patches no code; " } else { "" };
    format!("{path}: {not}{}", whole(&parts, ','))
}
