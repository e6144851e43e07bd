//! Fields of one JSON object, and lists in it with one element per line, so that grep, diff and
//! head work on a report.

use serde::Serialize;
use std::io::Write;

/// Writes a field that is not the first.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}

/// Writes a list that is not the first field.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn list<T: Serialize>(
    out: &mut (impl Write + ?Sized),
    name: &str,
    items: impl Iterator<Item = T>,
) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":[")?;
    for (index, item) in items.enumerate() {
        out.write_all(if index > 0 { b",\n" } else { b"\n" })?;
        serde_json::to_writer(&mut *out, &item)?;
    }
    Ok(write!(out, "]")?)
}
