//! The records of the machine-readable formats: schema `jlctl.inspect/1`.
//!
//! Addresses are strings (`"0x…"`), since 64 bits do not fit the numbers of
//! many JSON readers; what is unknown is null.  Records borrow from an image
//! while it is there, and own their strings where they outlive it.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::{Image, ImageKind};
use jlctl_analyzer::jump_table::Defect;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "jlctl.inspect/1";

/// An address as a string: `0x…`, or in a relocatable file section or undefined
/// symbol and offset.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Stated(Svma),
    Symbolic(String),
}

impl Address {
    pub(crate) fn new(image: &Image<'_>, address: Svma) -> Self {
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
#[derive(Debug, Clone)]
pub(crate) struct Hex<'a>(pub(crate) Cow<'a, [u8]>);

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

/// One file that was named: what was in it, or why nothing could be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FileRecord {
    pub(crate) path: String,
    pub(crate) error: Option<String>,
    pub(crate) image: Option<ImageRecord>,
    pub(crate) table: Option<TableRecord>,
    pub(crate) summary: Option<SummaryRecord>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ImageRecord {
    pub(crate) path: String,
    pub(crate) format: &'static str,
    pub(crate) container: Option<String>,
    pub(crate) arch: &'static str,
    pub(crate) r#type: Option<&'static str>,
    pub(crate) big_endian: bool,
    pub(crate) build_id: Option<Hex<'static>>,
    pub(crate) release: Option<String>,
    pub(crate) debug_info: bool,
    pub(crate) debug_file: Option<String>,
    pub(crate) signature: Option<SignatureRecord>,
}

/// The signature appended to a module: who says to have signed it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignatureRecord {
    pub(crate) signed_bytes: Option<u64>,
    pub(crate) signers: Vec<SignerRecord>,
    /// What is wrong with the signature.
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignerRecord {
    pub(crate) name: Option<String>,
    pub(crate) key_id: Hex<'static>,
    pub(crate) digest: String,
    pub(crate) signature_algorithm: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct TableRecord {
    pub(crate) address: Address,
    pub(crate) end: Address,
    pub(crate) entry_size: usize,
    pub(crate) layout: &'static str,
    pub(crate) located_by: &'static str,
    pub(crate) confidence: Option<ConfidenceRecord>,
}

/// What a search by structure came to; null without one.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ConfidenceRecord {
    pub(crate) entries: usize,
    pub(crate) next_longest: usize,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct SummaryRecord {
    pub(crate) entries: usize,
    pub(crate) nop: usize,
    pub(crate) jmp: usize,
    pub(crate) other: usize,
    pub(crate) keys: usize,
    /// Keys whose count is not what they were defined with: flipped in the file.
    pub(crate) flipped: usize,
    pub(crate) sections: BTreeMap<String, usize>,
    /// Sites in init text, in exit text, at EL2 and in unusual sections.
    pub(crate) special: BTreeMap<&'static str, usize>,
    /// Keys of each kind.
    pub(crate) kinds: BTreeMap<&'static str, usize>,
}

/// What the filters leave of the table; null without filters.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SelectionRecord {
    pub(crate) key: Option<String>,
    pub(crate) kind: Vec<&'static str>,
    pub(crate) function: Option<String>,
    pub(crate) section: Option<String>,
    pub(crate) keys: usize,
    pub(crate) sites: usize,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct KeyRecord<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: &'static str,
    pub(crate) address: Address,
    pub(crate) symbol: Option<Cow<'a, str>>,
    pub(crate) offset: Option<u64>,
    pub(crate) section: Option<Cow<'a, str>>,
    pub(crate) file_backed: bool,
    pub(crate) enabled: Option<i32>,
    pub(crate) initial: Option<&'static str>,
    pub(crate) object_type: Option<Cow<'a, str>>,
    pub(crate) dynamic_debug: Option<DdebugRecord>,
    pub(crate) sites: usize,
    /// Index of the file that defines the key; null if none that was read does.
    pub(crate) image: Option<usize>,
    /// Why it is not known which file does.
    pub(crate) unresolved: Option<String>,
}

/// What a descriptor of dynamic debug says of its message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DdebugRecord {
    pub(crate) module: String,
    pub(crate) function: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) format: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SiteRecord<'a> {
    /// Index of the file that the site is in.
    pub(crate) image: usize,
    pub(crate) index: usize,
    pub(crate) code: Address,
    pub(crate) target: Address,
    pub(crate) key: Address,
    pub(crate) key_name: Cow<'a, str>,
    pub(crate) branch: &'static str,
    pub(crate) insn: &'static str,
    pub(crate) bytes: Option<Hex<'a>>,
    pub(crate) disassembly: Option<String>,
    pub(crate) section: Option<Cow<'a, str>>,
    pub(crate) special: Option<&'static str>,
    pub(crate) function: Option<Cow<'a, str>>,
    pub(crate) function_offset: Option<u64>,
    pub(crate) source: Option<Vec<Cow<'a, RawValue>>>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct FrameRecord<'a> {
    pub(crate) function: Option<Cow<'a, str>>,
    pub(crate) file: Option<Cow<'a, str>>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiagnosticRecord {
    pub(crate) code: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) message: String,
    /// Index of the file; null if it concerns none.
    pub(crate) image: Option<usize>,
    pub(crate) site: Option<usize>,
}

impl DiagnosticRecord {
    /// What is wrong with a file as a whole, or with the set.
    pub(crate) fn of_file(defect: &Defect, image: Option<usize>) -> Self {
        Self {
            code: defect.code(),
            severity: defect.severity().name(),
            message: defect.to_string(),
            image,
            site: None,
        }
    }
}

fn owned<'b>(text: Option<Cow<'_, str>>) -> Option<Cow<'b, str>> {
    text.map(|text| Cow::Owned(text.into_owned()))
}

impl KeyRecord<'_> {
    pub(crate) fn into_owned(self) -> KeyRecord<'static> {
        KeyRecord {
            name: Cow::Owned(self.name.into_owned()),
            symbol: owned(self.symbol),
            section: owned(self.section),
            address: self.address,
            offset: self.offset,
            file_backed: self.file_backed,
            enabled: self.enabled,
            initial: self.initial,
            kind: self.kind,
            object_type: owned(self.object_type),
            dynamic_debug: self.dynamic_debug,
            sites: self.sites,
            image: self.image,
            unresolved: self.unresolved,
        }
    }
}

impl SiteRecord<'_> {
    pub(crate) fn into_owned(self) -> SiteRecord<'static> {
        let own_frames = |frames: Vec<Cow<'_, RawValue>>| {
            frames.into_iter().map(|frame| Cow::Owned(frame.into_owned())).collect()
        };
        SiteRecord {
            key_name: Cow::Owned(self.key_name.into_owned()),
            bytes: self.bytes.map(|bytes| Hex(Cow::Owned(bytes.0.into_owned()))),
            section: owned(self.section),
            function: owned(self.function),
            source: self.source.map(own_frames),
            image: self.image,
            index: self.index,
            code: self.code,
            target: self.target,
            key: self.key,
            branch: self.branch,
            insn: self.insn,
            disassembly: self.disassembly,
            special: self.special,
            function_offset: self.function_offset,
        }
    }
}

impl FrameRecord<'_> {
    pub(crate) fn into_owned(self) -> FrameRecord<'static> {
        let Self { function, file, line, column } = self;
        FrameRecord { function: owned(function), file: owned(file), line, column }
    }
}

pub(crate) const fn branch_name(likely: bool) -> &'static str {
    if likely { "likely" } else { "unlikely" }
}

pub(crate) const fn insn_name(insn: SiteInsn) -> &'static str {
    match insn {
        SiteInsn::Nop => "nop",
        SiteInsn::Jmp { .. } => "jmp",
        SiteInsn::Other => "other",
    }
}
