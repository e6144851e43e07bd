//! JSON Lines: one object a line, each with a `record` that says what it is.

use super::document::Document;
use super::record::SCHEMA;
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    record: &'a str,
    #[serde(flatten)]
    value: T,
}

pub(super) fn write(document: &impl Document, out: &mut dyn Write) -> anyhow::Result<()> {
    line(out, "image", document.head())?;
    for at in 0..document.keys().unwrap_or(0) {
        line(out, "key", document.key(at))?;
    }
    for at in 0..document.sites().unwrap_or(0) {
        line(out, "site", document.site(at))?;
    }
    document.diagnostics().iter().try_for_each(|found| line(out, "diagnostic", found))
}

fn line(out: &mut dyn Write, record: &str, value: impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, &Line { schema: SCHEMA, record, value })?;
    Ok(writeln!(out)?)
}
