//! Fields of one JSON object, and lists in it with one element a line.

use serde::Serialize;
use std::io::Write;

/// Writes a field that is not the first.
///
/// # Errors
/// What the writer raises.
pub(crate) fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}

/// Writes a list that is not the first field.
///
/// # Errors
/// What the writer raises.
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
