//! Baselines: files of known findings.

use super::records::{BaselineState, FindingRecord, Known, Suppressed};
use crate::terminal::exit::{Kind, failure};
use crate::terminal::output;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Name and version of the schema.
const SCHEMA: &str = "jlctl.lint-baseline/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    findings: Vec<Known>,
}

/// The findings of the baseline at `path`.
///
/// # Errors
/// If the file cannot be read, or is not a baseline.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Known>> {
    let wrong = |what: String| failure(Kind::Input, format!("{}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &[u8]) -> Result<Vec<Known>, String> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    // The schema version determines the allowed fields.
    let head: Head = serde_json::from_slice(text)
        .map_err(|error| format!("expected a baseline, {SCHEMA}: {error}"))?;
    match head.schema.as_deref() {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("expected schema {SCHEMA:?}, found {other:?}")),
        None => return Err(format!("expected schema {SCHEMA:?}, found none")),
    }
    let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(document.findings)
}

/// Writes `findings` that are not suppressed by a configuration as a baseline.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &Path, findings: &[FindingRecord]) -> anyhow::Result<()> {
    let text = compose(findings)?;
    output::write_file(path, false, |sink| Ok(sink.writer.write_all(text.as_bytes())?))
}

/// Marks all findings as those of the baseline that was just written.
pub(crate) fn accept(findings: &mut [FindingRecord]) {
    for finding in findings {
        finding.suppressed = finding.suppressed.or(Some(Suppressed::Baseline));
    }
}

/// The text of a baseline: identical for identical findings, with one finding per line, so that two
/// versions can be compared.
fn compose(findings: &[FindingRecord]) -> Result<String, serde_json::Error> {
    let counted = findings.iter().filter(|found| found.suppressed != Some(Suppressed::Config));
    let mut known: Vec<Known> = counted.map(known_of).collect();
    known.sort();
    let lines: Result<Vec<String>, _> = known.iter().map(serde_json::to_string).collect();
    let lines = lines?;
    let lines = if lines.is_empty() { String::new() } else { format!("\n{}", lines.join(",\n")) };
    Ok(format!("{{\"schema\":\"{SCHEMA}\",\n\"findings\":[{lines}]\n}}\n"))
}

fn known_of(finding: &FindingRecord) -> Known {
    Known {
        file: finding.file.clone(),
        rule: finding.rule.to_owned(),
        level: finding.level.name().to_owned(),
        function: finding.function.clone(),
        fingerprint: finding.fingerprint.clone(),
    }
}

/// Marks the findings that are in the baseline, and returns the entries that no finding matches.
///
/// Each entry matches one finding: the same code in another file is new. Entries with the same
/// fingerprint match findings of the same file first, then of the same file name, since builds
/// differ in their directories.
pub(crate) fn mark(findings: &mut [FindingRecord], known: Vec<Known>) -> Vec<Known> {
    let mut open: HashMap<String, Vec<Known>> = HashMap::new();
    for entry in known {
        open.entry(entry.fingerprint.clone()).or_default().push(entry);
    }
    for finding in findings.iter_mut() {
        finding.baseline = Some(BaselineState::New);
    }
    let same = |a: &str, b: &str| a == b;
    let same_name = |a: &str, b: &str| file_name(a) == file_name(b);
    let any = |_: &str, _: &str| true;
    for fits in [&same as &dyn Fn(&str, &str) -> bool, &same_name, &any] {
        for finding in findings.iter_mut() {
            let Some(entries) = open.get_mut(&finding.fingerprint) else { continue };
            let position = entries.iter().position(|entry| fits(&entry.file, &finding.file));
            if let (Some(BaselineState::New), Some(position)) = (finding.baseline, position) {
                entries.remove(position);
                finding.baseline = Some(BaselineState::Unchanged);
                // A suppression of the configuration has a reason, and takes precedence.
                finding.suppressed = finding.suppressed.or(Some(Suppressed::Baseline));
            }
        }
    }
    let mut absent: Vec<Known> = open.into_values().flatten().collect();
    absent.sort();
    absent
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::samples::finding;

    #[test]
    fn what_is_written_is_read() {
        let mut findings = [finding("b", "second"), finding("a", "first"), finding("c", "third")];
        findings[2].suppressed = Some(Suppressed::Config);
        let text = compose(&findings).unwrap();
        let known = parse(text.as_bytes()).unwrap();
        let names: Vec<&str> = known.iter().map(|known| known.file.as_str()).collect();
        assert_eq!(names, ["a", "b"], "sorted, without what is suppressed with a reason");
        assert_eq!(compose(&[]).unwrap().lines().count(), 3);
        assert_eq!(parse(compose(&[]).unwrap().as_bytes()), Ok(vec![]));
    }

    #[test]
    fn other_documents_are_refused() {
        for (text, words) in [
            ("", "expected a baseline"),
            ("[]", "expected a baseline"),
            ("{}", "found none"),
            ("{\"schema\":\"jlctl.lint/1\"}", "found \"jlctl.lint/1\""),
            ("{\"schema\":\"jlctl.lint-baseline/1\"}", "missing field `findings`"),
            ("{\"schema\":\"jlctl.lint-baseline/1\",\"findings\":[],\"x\":1}", "unknown field `x`"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{words:?} in {error}");
        }
    }

    #[test]
    fn each_entry_stands_for_one_finding() {
        let known = |file: &str, function: &str| known_of(&finding(file, function));
        let mut findings = [finding("new/a", "f"), finding("b", "f"), finding("c", "g")];
        let baseline = vec![known("old/b", "f"), known("d", "h")];
        let absent = mark(&mut findings, baseline);
        let states = findings.each_ref().map(|finding| finding.baseline);
        let new = Some(BaselineState::New);
        assert_eq!(states, [new, Some(BaselineState::Unchanged), new], "b by its file name");
        assert_eq!(absent, [known("d", "h")]);
        let suppressed = findings.each_ref().map(|finding| finding.suppressed);
        assert_eq!(suppressed, [None, Some(Suppressed::Baseline), None]);
        let mut moved = [finding("x/y", "f")];
        assert_eq!(mark(&mut moved, vec![known("old/b", "f")]), []);
        assert_eq!(moved[0].baseline, Some(BaselineState::Unchanged));
    }
}
