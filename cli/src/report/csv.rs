//! CSV (RFC 4180): the sites or the keys, with a header line.  An unknown value
//! is an empty field.

use super::Inspection;
use super::record::{Records, branch_name, bytes_text, insn_name};
use jlctl_analyzer::jump_table::SiteId;
use std::io::Write;

const KEYS: [&str; 9] = [
    "name",
    "address",
    "symbol",
    "offset",
    "section",
    "file_backed",
    "enabled",
    "initial",
    "sites",
];
const SITES: [&str; 16] = [
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
];

pub(super) fn write(inspection: &Inspection<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    if inspection.lists.keys {
        csv.write_record(KEYS)?;
        let records = Records::new(inspection)?;
        for id in &inspection.selection.keys {
            let key = records.key(*id);
            csv.write_record([
                key.name.into_owned(),
                key.address.to_string(),
                key.symbol.unwrap_or_default().into_owned(),
                text(key.offset),
                key.section.unwrap_or_default().to_owned(),
                key.file_backed.to_string(),
                text(key.enabled),
                key.initial.unwrap_or_default().to_owned(),
                key.sites.to_string(),
            ])?;
        }
    } else {
        csv.write_record(SITES)?;
        for id in &inspection.selection.sites {
            csv.write_record(site(inspection, *id))?;
        }
    }
    Ok(csv.flush()?)
}

fn site(inspection: &Inspection<'_>, id: SiteId) -> [String; 16] {
    let Inspection { image, table, frames, .. } = *inspection;
    let (entry, site) = (table.entry(id), table.site(id));
    let frame = frames.and_then(|frames| frames.of_interest(id));
    let string = |id| frames.map_or("", |frames| frames.all().string(id)).to_owned();
    [
        id.index().to_string(),
        image.address_text(entry.code),
        image.address_text(entry.target),
        image.address_text(entry.key),
        table.key(table.key_of(id)).name(image).into_owned(),
        branch_name(entry.branch).to_owned(),
        insn_name(site.insn).to_owned(),
        bytes_text(site.bytes).unwrap_or_default(),
        site.disassembly(image, entry.code).unwrap_or_default(),
        site.section.map(|id| image.section(id).name).unwrap_or_default().to_owned(),
        inspection.function_name(site.function).unwrap_or_default().into_owned(),
        text(site.function.map(|at| at.offset)),
        frame.and_then(|frame| frame.function).map(string).unwrap_or_default(),
        frame.and_then(|frame| frame.file).map(string).unwrap_or_default(),
        text(frame.and_then(|frame| frame.line)),
        text(frame.and_then(|frame| frame.column)),
    ]
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
