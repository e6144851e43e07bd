//! JSON: schema `jlctl.lint/1`, one object, its lists with one element a line.

use super::records::{LintDocument, SCHEMA};
use crate::terminal::listing::{field, list};
use jlctl_analyzer::lint::Level;
use serde_json::json;
use std::io::Write;

pub(super) fn write(document: &LintDocument, out: &mut dyn Write) -> anyhow::Result<()> {
    let LintDocument { files, findings, fail_on, baseline, unused_suppressions, against, passed } =
        document;
    write!(out, "{{\"schema\":\"{SCHEMA}\"")?;
    list(out, "files", files.iter())?;
    let of_level = |level| findings.iter().filter(|finding| finding.level == level).count();
    let suppressed = findings.iter().filter(|finding| finding.suppressed.is_some()).count();
    field(
        out,
        "summary",
        &json!({
            "error": of_level(Level::Error),
            "warning": of_level(Level::Warning),
            "note": of_level(Level::Note),
            "suppressed": suppressed,
            "fail_on": fail_on.name(),
            "failing": document.failing(),
            "unread": document.unread(),
            "passed": passed,
        }),
    )?;
    list(out, "findings", findings.iter())?;
    list(out, "unused_suppressions", unused_suppressions.iter())?;
    field(out, "baseline", baseline)?;
    field(out, "against", against)?;
    Ok(writeln!(out, "\n}}")?)
}
