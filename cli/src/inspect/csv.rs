//! CSV (RFC 4180): the sites or the keys, with a header line.  An unknown value
//! is an empty field.

use super::document::InspectDocument;
use super::records::{KeyRecord, SiteRecord};
use crate::schema::FrameRecord;
use std::io::Write;

const KEYS: [&str; 13] = [
    "name",
    "address",
    "symbol",
    "offset",
    "section",
    "file_backed",
    "enabled",
    "initial",
    "sites",
    "image",
    "unresolved",
    "kind",
    "object_type",
];
const SITES: [&str; 18] = [
    "index",
    "code",
    "target",
    "key",
    "key_name",
    "branch",
    "insn",
    "bytes",
    "disassembly",
    "section",
    "function",
    "function_offset",
    "source_function",
    "source_file",
    "source_line",
    "source_column",
    "image",
    "special",
];

pub(super) fn write(document: &impl InspectDocument, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    if let Some(keys) = document.keys() {
        record(&mut csv, KEYS)?;
        for at in 0..keys {
            record(&mut csv, key(&document.key(at)))?;
        }
    } else {
        record(&mut csv, SITES)?;
        for at in 0..document.sites().unwrap_or(0) {
            record(&mut csv, site(&document.site(at), document.used_at(at).as_ref()))?;
        }
    }
    Ok(csv.flush()?)
}

/// Writes a line.  The only error is that of the output, which is returned as an I/O error: a
/// `csv::Error` would hide a closed pipe.
fn record<const N: usize>(
    csv: &mut csv::Writer<&mut dyn Write>,
    fields: [impl AsRef<[u8]>; N],
) -> std::io::Result<()> {
    csv.write_record(fields).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    })
}

fn key(key: &KeyRecord<'_>) -> [String; 13] {
    [
        key.name.to_string(),
        key.address.to_string(),
        text(key.symbol.as_ref()),
        text(key.offset),
        text(key.section.as_ref()),
        key.file_backed.to_string(),
        text(key.enabled),
        text(key.initial),
        key.sites.to_string(),
        text(key.image),
        text(key.unresolved.as_ref()),
        key.kind.to_owned(),
        text(key.object_type.as_ref()),
    ]
}

fn site(site: &SiteRecord<'_>, frame: Option<&FrameRecord<'_>>) -> [String; 18] {
    [
        site.index.to_string(),
        site.code.to_string(),
        site.target.to_string(),
        site.key.to_string(),
        site.key_name.to_string(),
        site.branch.to_owned(),
        site.insn.to_owned(),
        text(site.bytes.as_ref()),
        text(site.disassembly.as_ref()),
        text(site.section.as_ref()),
        text(site.function.as_ref()),
        text(site.function_offset),
        text(frame.and_then(|frame| frame.function.as_ref())),
        text(frame.and_then(|frame| frame.file.as_ref())),
        text(frame.and_then(|frame| frame.line)),
        text(frame.and_then(|frame| frame.column)),
        site.image.to_string(),
        text(site.special),
    ]
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
