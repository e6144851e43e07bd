//! The records of the machine-readable formats: schema `jlctl.inspect/1`.
//!
//! Addresses are strings (`"0x…"`), since 64 bits do not fit the numbers of
//! many JSON readers; what is unknown is null.

use super::{Inspection, SiteFrames};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::debug_info::{Frame, Frames};
use jlctl_analyzer::image::{Image, ImageKind, SectionId, SymbolOffset};
use jlctl_analyzer::jump_table::{Diagnostic, KeyId, Layout, LocatedBy, SiteBytes, SiteId};
use rayon::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "jlctl.inspect/1";

/// An address as a string: `0x…`, or in a relocatable file section or undefined
/// symbol and offset.
#[derive(Debug, Clone)]
pub(super) enum Address {
    Stated(Svma),
    Symbolic(String),
}

impl Address {
    pub(super) fn new(image: &Image<'_>, address: Svma) -> Self {
        match image.kind() {
            ImageKind::Rel => Self::Symbolic(image.address_text(address)),
            ImageKind::Exec | ImageKind::Dyn => Self::Stated(address),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stated(address) => address.fmt(f),
            Self::Symbolic(text) => f.write_str(text),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let address = match self {
            Self::Symbolic(text) => return serializer.serialize_str(text),
            Self::Stated(address) => address.0,
        };
        // As `Svma` displays it, without the cost of formatting: a report has
        // a hundred thousand of these.
        let mut text = *b"0x0000000000000000";
        let digits = (16 - address.leading_zeros() as usize / 4).max(1);
        for (place, digit) in text[2..2 + digits].iter_mut().rev().zip(0u32..) {
            *place = DIGITS[(address >> (4 * digit) & 0xf) as usize];
        }
        serializer.serialize_str(std::str::from_utf8(&text[..2 + digits]).unwrap_or_default())
    }
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Bytes as hexadecimal, lowest address first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ImageRecord<'a> {
    path: Cow<'a, str>,
    format: &'static str,
    container: Option<&'static str>,
    arch: &'static str,
    r#type: &'static str,
    big_endian: bool,
    build_id: Option<Hex<'a>>,
    release: Option<&'a str>,
    debug_info: bool,
    debug_file: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct TableRecord {
    address: Address,
    end: Address,
    entry_size: usize,
    layout: &'static str,
    located_by: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct SummaryRecord<'a> {
    entries: usize,
    nop: usize,
    jmp: usize,
    other: usize,
    keys: usize,
    sections: BTreeMap<&'a str, usize>,
}

/// What the filters leave of the table; null without filters.
#[derive(Debug, Serialize)]
pub(super) struct SelectionRecord<'a> {
    key: Option<&'a str>,
    function: Option<&'a str>,
    section: Option<&'a str>,
    keys: usize,
    sites: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct KeyRecord<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) address: Address,
    pub(super) symbol: Option<Cow<'a, str>>,
    pub(super) offset: Option<u64>,
    pub(super) section: Option<&'a str>,
    pub(super) file_backed: bool,
    pub(super) enabled: Option<i32>,
    pub(super) initial: Option<&'static str>,
    pub(super) sites: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct SiteRecord<'a> {
    pub(super) index: usize,
    pub(super) code: Address,
    pub(super) target: Address,
    pub(super) key: Address,
    pub(super) key_name: &'a str,
    pub(super) branch: &'static str,
    pub(super) insn: &'static str,
    pub(super) bytes: Option<Hex<'a>>,
    pub(super) disassembly: Option<String>,
    pub(super) section: Option<&'a str>,
    pub(super) function: Option<Cow<'a, str>>,
    pub(super) function_offset: Option<u64>,
    pub(super) source: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Serialize)]
struct FrameRecord<'a> {
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct DiagnosticRecord {
    code: &'static str,
    severity: &'static str,
    message: String,
    site: Option<usize>,
}

/// Makes records; what many records share is made once.
pub(super) struct Records<'a> {
    inspection: &'a Inspection<'a>,
    key_names: Vec<Cow<'a, str>>,
    /// Frames as JSON objects: many sites share them.
    frames: Vec<Box<RawValue>>,
}

impl<'a> Records<'a> {
    pub(super) fn new(inspection: &'a Inspection<'a>) -> Result<Self, serde_json::Error> {
        let key_names =
            inspection.table.keys().iter().map(|key| key.name(inspection.image)).collect();
        let frames = match inspection.frames {
            Some(frames) => frame_records(frames.all())?,
            None => Vec::new(),
        };
        Ok(Self { inspection, key_names, frames })
    }

    pub(super) fn image(&self) -> ImageRecord<'a> {
        let Inspection { path, image, has_debug_info, debug_file, .. } = *self.inspection;
        ImageRecord {
            path: path.to_string_lossy(),
            format: "elf",
            container: None,
            arch: image.arch().name(),
            r#type: match image.kind() {
                ImageKind::Exec => "exec",
                ImageKind::Dyn => "dyn",
                ImageKind::Rel => "rel",
            },
            big_endian: image.is_big_endian(),
            build_id: image.build_id().map(Hex),
            release: image.release(),
            debug_info: has_debug_info,
            debug_file: debug_file.map(|path| path.to_string_lossy()),
        }
    }

    pub(super) fn table(&self) -> TableRecord {
        let Inspection { image, table, .. } = *self.inspection;
        TableRecord {
            address: Address::new(image, table.location().range.start()),
            end: Address::new(image, table.location().range.end()),
            entry_size: table.layout().entry_size(),
            layout: match table.layout() {
                Layout::Relative => "relative",
                Layout::Absolute => "absolute",
            },
            located_by: match table.location().by {
                LocatedBy::Symbols => "symbols",
                LocatedBy::Section => "section",
            },
        }
    }

    pub(super) fn summary(&self) -> SummaryRecord<'a> {
        let table = self.inspection.table;
        let counts = table.insn_counts();
        SummaryRecord {
            entries: table.len(),
            nop: counts.nop,
            jmp: counts.jmp,
            other: counts.other,
            keys: table.keys().len(),
            sections: self.inspection.sites_by_section(),
        }
    }

    pub(super) fn selection(&self) -> Option<SelectionRecord<'a>> {
        let Inspection { filter, selection, .. } = *self.inspection;
        (!filter.is_empty()).then(|| SelectionRecord {
            key: filter.key.as_ref().map(|(text, _)| text.as_str()),
            function: filter.function.as_ref().map(|(text, _)| text.as_str()),
            section: filter.section.as_deref(),
            keys: selection.keys.len(),
            sites: selection.sites.len(),
        })
    }

    pub(super) fn key(&self, id: KeyId) -> KeyRecord<'a> {
        let Inspection { image, table, selection, .. } = *self.inspection;
        let key = table.key(id);
        KeyRecord {
            name: key.name(image),
            address: Address::new(image, key.address),
            symbol: key.symbol.map(|at| image.symbols().name(at.symbol)),
            offset: key.symbol.map(|at| at.offset),
            section: key.section.and_then(|id| self.inspection.section_name(id)),
            file_backed: key.is_file_backed(),
            enabled: key.enabled(),
            initial: key.initially_true().map(|on| if on { "true" } else { "false" }),
            sites: selection.sites_of[id.index()],
        }
    }

    pub(super) fn site(&self, id: SiteId) -> SiteRecord<'_> {
        let Inspection { image, table, .. } = *self.inspection;
        let (entry, site) = (table.entry(id), table.site(id));
        SiteRecord {
            index: id.index(),
            code: Address::new(image, entry.code),
            target: Address::new(image, entry.target),
            key: Address::new(image, entry.key),
            key_name: &self.key_names[table.key_of(id).index()],
            branch: branch_name(entry.branch),
            insn: insn_name(site.insn),
            bytes: site.bytes.map(Hex),
            disassembly: site.disassembly(image, entry.code),
            section: site.section.and_then(|id| self.inspection.section_name(id)),
            function: self.inspection.function_name(site.function),
            function_offset: site.function.map(|at| at.offset),
            source: self.inspection.frames.map(|frames| self.source(frames, id)),
        }
    }

    /// The frames of a site, as the JSON objects made of them once.
    fn source(&self, frames: &SiteFrames, id: SiteId) -> Vec<&RawValue> {
        frames.of(id).iter().map(|id| &*self.frames[id.index()]).collect()
    }

    pub(super) fn diagnostics(&self) -> impl Iterator<Item = DiagnosticRecord> {
        let image = self.inspection.image;
        self.inspection.diagnostics.iter().map(|found| diagnostic(image, found))
    }
}

fn frame_records(frames: &Frames) -> Result<Vec<Box<RawValue>>, serde_json::Error> {
    let record = |frame: &Frame| {
        serde_json::value::to_raw_value(&FrameRecord {
            function: frame.function.map(|id| frames.string(id)),
            file: frame.file.map(|id| frames.string(id)),
            line: frame.line,
            column: frame.column,
        })
    };
    frames.all().par_iter().map(record).collect()
}

fn diagnostic(image: &Image<'_>, found: &Diagnostic) -> DiagnosticRecord {
    DiagnosticRecord {
        code: found.defect.code(),
        severity: found.defect.severity().name(),
        message: image.localize(&found.defect.to_string()).into_owned(),
        site: found.site.map(SiteId::index),
    }
}

pub(super) const fn branch_name(likely: bool) -> &'static str {
    if likely { "likely" } else { "unlikely" }
}

pub(super) const fn insn_name(insn: SiteInsn) -> &'static str {
    match insn {
        SiteInsn::Nop => "nop",
        SiteInsn::Jmp { .. } => "jmp",
        SiteInsn::Other => "other",
    }
}

impl<'a> Inspection<'a> {
    /// Number of selected-or-not sites in each section, by name; sites outside
    /// any section are counted under the empty name.
    pub(super) fn sites_by_section(&self) -> BTreeMap<&'a str, usize> {
        let mut by_id: BTreeMap<Option<SectionId>, usize> = BTreeMap::new();
        for id in self.table.site_ids() {
            *by_id.entry(self.table.site(id).section).or_default() += 1;
        }
        let mut by_name = BTreeMap::new();
        for (id, sites) in by_id {
            let name = id.map_or("", |id| self.image.section(id).name);
            *by_name.entry(name).or_default() += sites;
        }
        by_name
    }

    /// Name of a section; `None` if the file's table of names lacks it.
    fn section_name(&self, id: SectionId) -> Option<&'a str> {
        Some(self.image.section(id).name).filter(|name| !name.is_empty())
    }

    pub(super) fn function_name(&self, function: Option<SymbolOffset>) -> Option<Cow<'a, str>> {
        function.map(|at| self.image.symbols().name(at.symbol))
    }
}

/// Bytes of a site as text.
pub(super) fn bytes_text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| SiteBytes::new(bytes).to_string())
}
