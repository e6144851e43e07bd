//! Writes a plan file: one object, whose lists have one element a line, so that `grep`, `diff` and
//! `head` are useful.

use super::document::PlanDocument;
use rayon::prelude::*;
use serde::Serialize;
use std::io::{self, Write};

/// Elements that one task formats.
const CHUNK: usize = 256;

/// Writes `document`; equal documents give equal bytes.
///
/// # Errors
/// If writing fails.
pub fn write(document: &PlanDocument, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"schema\":")?;
    serde_json::to_writer(&mut *out, &document.schema)?;
    field(out, "world", &document.world)?;
    field(out, "arch", &document.arch)?;
    list(out, "images", &document.images)?;
    field(out, "queue", &document.queue)?;
    field(out, "sync", &document.sync)?;
    list(out, "keys", &document.keys)?;
    list(out, "ops", &document.ops)?;
    list(out, "key_writes", &document.key_writes)?;
    list(out, "batches", &document.batches)?;
    list(out, "deferrals", &document.deferrals)?;
    list(out, "refusals", &document.refusals)?;
    field(out, "cost", &document.cost)?;
    writeln!(out, "\n}}")
}

fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}

fn list<T: Serialize + Sync>(out: &mut dyn Write, name: &str, items: &[T]) -> io::Result<()> {
    write!(out, ",\n\"{name}\":[")?;
    let chunks: Result<Vec<Vec<u8>>, serde_json::Error> = items
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut text = Vec::new();
            chunk.iter().try_for_each(|item| {
                text.extend_from_slice(b",\n");
                serde_json::to_writer(&mut text, item)
            })?;
            Ok(text)
        })
        .collect();
    for (at, chunk) in chunks?.iter().enumerate() {
        // Every element begins with a comma; that of the first is cut off.
        out.write_all(chunk.get(usize::from(at == 0)..).unwrap_or_default())?;
    }
    write!(out, "]")
}
