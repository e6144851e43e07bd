//! JSON: one object, with one element of its lists per line for line tools and `diff`; and JSON
//! Lines, with one record per line.

use super::document::InspectDocument;
use super::records::SCHEMA;
use anyhow::Context as _;
use rayon::prelude::*;
use serde::Serialize;
use std::io::Write;

/// Number of records that one task serialises.
const CHUNK: usize = 128;
/// Number of chunks that are serialised in parallel.
const WAVE: usize = 16;

pub(super) fn write(
    document: &impl InspectDocument,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let head = document.head();
    write!(out, "{{\"schema\":\"{SCHEMA}\"")?;
    field(out, "image", &head.image)?;
    field(out, "table", &head.table)?;
    field(out, "images", &head.images)?;
    field(out, "summary", &head.summary)?;
    field(out, "selection", &head.selection)?;
    list(out, "keys", document.keys(), |at, buffer| to_writer(buffer, &document.key(at)))?;
    list(out, "sites", document.sites(), |at, buffer| to_writer(buffer, &document.site(at)))?;
    let diagnostics = document.diagnostics();
    list(out, "diagnostics", Some(diagnostics.len()), |at, buffer| {
        to_writer(buffer, &diagnostics[at])
    })?;
    writeln!(out, "\n}}")?;
    Ok(())
}

fn to_writer(buffer: &mut Vec<u8>, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(buffer, value).context("JSON")
}

fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}

/// Writes a list of `items` elements, or null.  All cores serialise one wave of elements while the
/// previous wave is written. The buffers are reused, so that memory stays bounded and in the cache.
fn list(
    out: &mut (dyn Write + Send),
    name: &str,
    items: Option<usize>,
    element: impl Fn(usize, &mut Vec<u8>) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    let Some(items) = items else { return Ok(write!(out, "null")?) };
    let render = |wave: usize, buffers: &mut [Vec<u8>]| -> anyhow::Result<()> {
        buffers.par_iter_mut().enumerate().try_for_each(|(chunk, buffer)| {
            buffer.clear();
            let start = (wave + chunk * CHUNK).min(items);
            (start..(start + CHUNK).min(items)).try_for_each(|item| {
                buffer.extend_from_slice(b",\n");
                element(item, buffer)
            })
        })
    };
    write!(out, "[")?;
    let mut pending = vec![Vec::new(); WAVE];
    let mut buffers = vec![Vec::new(); WAVE];
    let mut is_first = true;
    for wave in (0..items).step_by(CHUNK * WAVE) {
        let (written, rendered) =
            rayon::join(|| write_all(out, &pending, &mut is_first), || render(wave, &mut buffers));
        written?;
        rendered?;
        std::mem::swap(&mut pending, &mut buffers);
    }
    write_all(out, &pending, &mut is_first)?;
    Ok(write!(out, "]")?)
}

/// Writes chunks that all start with a comma; the first comma of the list is dropped.
fn write_all(out: &mut dyn Write, chunks: &[Vec<u8>], is_first: &mut bool) -> std::io::Result<()> {
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        let comma = usize::from(std::mem::take(is_first));
        out.write_all(&chunk[comma..])?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    record: &'a str,
    #[serde(flatten)]
    value: T,
}

/// Writes JSON Lines: one object per line, each with its kind in `record`.
pub(super) fn write_lines(
    document: &impl InspectDocument,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
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
