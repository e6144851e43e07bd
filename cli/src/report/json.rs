//! JSON: one object, its lists with one element a line, so that line tools and
//! `diff` are of use too.

use super::Inspection;
use super::record::{Records, SCHEMA};
use rayon::prelude::*;
use serde::Serialize;
use std::io::Write;

/// Sites that one task turns into text.
const CHUNK: usize = 128;
/// Chunks turned into text at a time.
const WAVE: usize = 16;

pub(super) fn write(
    inspection: &Inspection<'_>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let records = Records::new(inspection)?;
    write!(out, "{{\"schema\":\"{SCHEMA}\"")?;
    field(out, "image", &records.image())?;
    field(out, "table", &records.table())?;
    field(out, "summary", &records.summary())?;
    field(out, "selection", &records.selection())?;
    list(
        out,
        "keys",
        inspection.lists.keys.then_some(&inspection.selection.keys[..]),
        |id, buffer| to_writer(buffer, &records.key(*id)),
    )?;
    list(
        out,
        "sites",
        inspection.lists.sites.then_some(&inspection.selection.sites[..]),
        |id, buffer| to_writer(buffer, &records.site(*id)),
    )?;
    let diagnostics: Vec<_> = records.diagnostics().collect();
    list(out, "diagnostics", Some(&diagnostics[..]), |found, buffer| to_writer(buffer, found))?;
    writeln!(out, "\n}}")?;
    Ok(())
}

fn to_writer(buffer: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(buffer, value)
}

fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}

/// Writes a list, or null.  Elements are turned into text by all cores, one
/// wave while the one before is written, in buffers that are used again: memory
/// stays bounded, and in the cache.
fn list<T: Sync>(
    out: &mut (dyn Write + Send),
    name: &str,
    items: Option<&[T]>,
    element: impl Fn(&T, &mut Vec<u8>) -> Result<(), serde_json::Error> + Sync,
) -> anyhow::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    let Some(items) = items else { return Ok(write!(out, "null")?) };
    let render = |wave: &[T], buffers: &mut [Vec<u8>]| -> Result<(), serde_json::Error> {
        buffers.iter_mut().for_each(Vec::clear);
        buffers.par_iter_mut().zip(wave.par_chunks(CHUNK)).try_for_each(|(buffer, chunk)| {
            chunk.iter().try_for_each(|item| {
                buffer.extend_from_slice(b",\n");
                element(item, buffer)
            })
        })
    };
    write!(out, "[")?;
    let mut pending = vec![Vec::new(); WAVE];
    let mut buffers = vec![Vec::new(); WAVE];
    let mut is_first = true;
    for wave in items.chunks(CHUNK * WAVE) {
        let (written, rendered) =
            rayon::join(|| write_all(out, &pending, &mut is_first), || render(wave, &mut buffers));
        written?;
        rendered?;
        std::mem::swap(&mut pending, &mut buffers);
    }
    write_all(out, &pending, &mut is_first)?;
    Ok(write!(out, "]")?)
}

/// Writes chunks that all start with a comma; the first one goes without.
fn write_all(out: &mut dyn Write, chunks: &[Vec<u8>], is_first: &mut bool) -> std::io::Result<()> {
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        let comma = usize::from(std::mem::take(is_first));
        out.write_all(&chunk[comma..])?;
    }
    Ok(())
}
