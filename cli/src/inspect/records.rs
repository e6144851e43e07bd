//! The records of the machine-readable formats: schema `jlctl.inspect/1`.
//!
//! Addresses are strings (`"0x…"`), since 64 bits do not fit the numbers of many JSON readers; an
//! unknown value is null. Records borrow from an open image, and own their strings once the image
//! is closed.

use crate::schema::{Address, Hex, owned};
use jlctl_analyzer::jump_table::Defect;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "jlctl.inspect/1";

/// One file that was named: its content, or why it could not be read.
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

/// The signature appended to a module, with the signers that it names.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignatureRecord {
    pub(crate) signed_bytes: Option<u64>,
    pub(crate) signers: Vec<SignerRecord>,
    /// Why the signature cannot be read.
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

/// The result of a search by structure; null if there was no search.
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
    /// Keys whose count in the file differs from their definition.
    pub(crate) flipped: usize,
    pub(crate) sections: BTreeMap<String, usize>,
    /// Sites in init text, in exit text, at EL2 and in unusual sections.
    pub(crate) special: BTreeMap<&'static str, usize>,
    /// Keys of each kind.
    pub(crate) kinds: BTreeMap<&'static str, usize>,
}

/// The selection by filters; null without filters.
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
    /// Index of the file that defines the key; null if no file that was read does.
    pub(crate) image: Option<usize>,
    /// Why the defining file is unknown.
    pub(crate) unresolved: Option<String>,
}

/// The message of a dynamic debug descriptor.
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
    /// All frames, innermost first: the wrapper in `jump_label.h`, then its callers.
    pub(crate) source: Option<Vec<Cow<'a, RawValue>>>,
    /// The frame of `source` in which the key is used: the first outside `jump_label.h`.
    pub(crate) used_at: Option<Cow<'a, RawValue>>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiagnosticRecord {
    pub(crate) code: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) message: String,
    /// Index of the file; null if the diagnostic concerns the set.
    pub(crate) image: Option<usize>,
    pub(crate) site: Option<usize>,
    /// Index of the key, if the diagnostic concerns the key itself.
    #[serde(skip)]
    pub(crate) key: Option<usize>,
}

impl DiagnosticRecord {
    /// A defect of a whole file, or of the set.
    pub(crate) fn of_file(defect: &Defect, image: Option<usize>) -> Self {
        Self {
            code: defect.code(),
            severity: defect.severity().name(),
            message: defect.to_string(),
            image,
            site: None,
            key: None,
        }
    }
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
            used_at: self.used_at.map(|frame| Cow::Owned(frame.into_owned())),
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
