//! JSON Lines: one object a line, each with a `record` that says what it is.

use super::Inspection;
use super::record::{Records, SCHEMA};
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    record: &'a str,
    #[serde(flatten)]
    value: T,
}

#[derive(Serialize)]
struct Head<A, B, C, D> {
    image: A,
    table: B,
    summary: C,
    selection: D,
}

pub(super) fn write(inspection: &Inspection<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let records = Records::new(inspection)?;
    let head = Head {
        image: records.image(),
        table: records.table(),
        summary: records.summary(),
        selection: records.selection(),
    };
    line(out, "image", head)?;
    if inspection.lists.keys {
        inspection.selection.keys.iter().try_for_each(|id| line(out, "key", records.key(*id)))?;
    }
    if inspection.lists.sites {
        inspection
            .selection
            .sites
            .iter()
            .try_for_each(|id| line(out, "site", records.site(*id)))?;
    }
    records.diagnostics().try_for_each(|found| line(out, "diagnostic", found))
}

fn line(out: &mut dyn Write, record: &str, value: impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, &Line { schema: SCHEMA, record, value })?;
    Ok(writeln!(out)?)
}
