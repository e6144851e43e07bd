//! The records of one image, which borrow from it.

use super::document::{Head, InspectDocument};
use super::inspection::{Inspection, section_name};
use super::records::{
    ConfidenceRecord, DdebugRecord, DiagnosticRecord, FileRecord, ImageRecord, KeyRecord,
    SelectionRecord, SignatureRecord, SignerRecord, SiteRecord, SummaryRecord, TableRecord,
};
use crate::schema::{Address, FrameRecord, Hex, SiteFrames, branch_name, frame_record, insn_name};
use jlctl_analyzer::debug_info::Frames;
use jlctl_analyzer::image::{Image, ImageFile, Signer, SignerKey};
use jlctl_analyzer::jump_table::{
    DdebugSite, Diagnostic, EntryLayout, Key, KeyDescriptions, KeyId, KeyStorage, LocatedBy,
    SiteId, Special,
};
use rayon::prelude::*;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Makes records; parts that many records share are made once.
pub(crate) struct Records<'a> {
    inspection: &'a Inspection<'a>,
    /// Index of the image in its set.
    image_index: usize,
    /// Frames as JSON objects: many sites share them.
    frames: Vec<Box<RawValue>>,
}

impl<'a> Records<'a> {
    pub(crate) fn new(
        inspection: &'a Inspection<'a>,
        image_index: usize,
    ) -> Result<Self, serde_json::Error> {
        let frames = match inspection.frames {
            Some(frames) => frame_records(frames.all())?,
            None => Vec::new(),
        };
        Ok(Self { inspection, image_index, frames })
    }

    pub(crate) fn image(&self) -> ImageRecord {
        let Inspection { image, file, has_debug_info, debug_file, .. } = *self.inspection;
        image_record(image, file, has_debug_info, debug_file)
    }

    pub(crate) fn table(&self) -> TableRecord {
        let Inspection { image, table, .. } = *self.inspection;
        TableRecord {
            address: Address::new(image, table.location().range.start()),
            end: Address::new(image, table.location().range.end()),
            entry_size: table.layout().entry_size(),
            layout: match table.layout() {
                EntryLayout::Relative => "relative",
                EntryLayout::Absolute => "absolute",
                EntryLayout::StaticKeys => "static-keys",
            },
            located_by: match table.location().by {
                LocatedBy::Symbols => "symbols",
                LocatedBy::Section => "section",
                LocatedBy::Scan => "scan",
            },
            confidence: table.location().confidence.map(|found| ConfidenceRecord {
                entries: found.entries,
                next_longest: found.next_longest,
            }),
        }
    }

    pub(crate) fn summary(&self) -> SummaryRecord {
        let table = self.inspection.table;
        let counts = table.insn_counts();
        let sections = self.inspection.sites_by_section();
        SummaryRecord {
            entries: table.len(),
            nop: counts.nop,
            jmp: counts.jmp,
            other: counts.other,
            keys: table.keys().len(),
            flipped: table.keys().iter().filter(|key| key.is_flipped()).count(),
            sections: sections.into_iter().map(|(name, sites)| (name.to_owned(), sites)).collect(),
            special: self.inspection.special_sites(),
            kinds: self.inspection.kinds(),
        }
    }

    fn selection(&self) -> Option<SelectionRecord> {
        let Inspection { filter, selection, .. } = *self.inspection;
        filter.record(selection.keys.len(), selection.sites.len())
    }

    pub(crate) fn key_of(&self, id: KeyId) -> KeyRecord<'a> {
        let Inspection { image, table, keys, selection, .. } = *self.inspection;
        let sites = selection.sites_of[id.index()];
        key_record(image, table.key(id), keys, id, self.image_index, sites)
    }

    pub(crate) fn site_of(&self, id: SiteId) -> SiteRecord<'_> {
        let Inspection { image, table, keys, frames, .. } = *self.inspection;
        let (entry, site) = (table.entry(id), table.site(id));
        let section = site.section.and_then(|id| section_name(image, id));
        let function = self.inspection.function_name(site.function);
        SiteRecord {
            image: self.image_index,
            index: id.index(),
            code: Address::new(image, entry.code),
            target: Address::new(image, entry.target),
            key: Address::new(image, entry.key),
            key_name: Cow::Borrowed(keys.names().get(table.key_of(id)).full()),
            branch: branch_name(entry.branch),
            insn: insn_name(site.insn),
            bytes: site.bytes.map(|bytes| Hex(Cow::Borrowed(bytes))),
            disassembly: site.disassembly(image, entry.code),
            section: section.map(Cow::Borrowed),
            special: section
                .and_then(|name| Special::of(name, function.as_deref()))
                .map(Special::name),
            function,
            function_offset: site.function.map(|at| at.offset),
            source: frames.map(|frames| self.source(frames, id)),
            used_at: frames
                .and_then(|frames| frames.used_at(id))
                .map(|id| Cow::Borrowed(&*self.frames[id.index()])),
        }
    }

    pub(crate) fn used_at_of(&self, id: SiteId) -> Option<FrameRecord<'_>> {
        let frames = self.inspection.frames?;
        Some(frame_record(frames.all(), frames.used_at_frame(id)?))
    }

    /// The frames of a site, as JSON objects made once.
    fn source(&self, frames: &SiteFrames, id: SiteId) -> Vec<Cow<'_, RawValue>> {
        frames.of(id).iter().map(|id| Cow::Borrowed(&*self.frames[id.index()])).collect()
    }

    pub(crate) fn all_diagnostics(&self) -> Vec<DiagnosticRecord> {
        let Inspection { image, diagnostics, .. } = *self.inspection;
        diagnostics.iter().map(|found| diagnostic(image, self.image_index, found)).collect()
    }

    fn file(&self) -> FileRecord {
        let image = self.image();
        FileRecord {
            path: image.path.clone(),
            error: None,
            image: Some(image),
            table: Some(self.table()),
            summary: Some(self.summary()),
        }
    }
}

impl InspectDocument for Records<'_> {
    fn head(&self) -> Head {
        Head {
            image: Some(self.image()),
            table: Some(self.table()),
            images: vec![self.file()],
            summary: self.summary(),
            selection: self.selection(),
        }
    }

    fn keys(&self) -> Option<usize> {
        self.inspection.lists.keys.then_some(self.inspection.selection.keys.len())
    }

    fn key(&self, at: usize) -> Cow<'_, KeyRecord<'_>> {
        Cow::Owned(self.key_of(self.inspection.selection.keys[at]))
    }

    fn sites(&self) -> Option<usize> {
        self.inspection.lists.sites.then_some(self.inspection.selection.sites.len())
    }

    fn site(&self, at: usize) -> Cow<'_, SiteRecord<'_>> {
        Cow::Owned(self.site_of(self.inspection.selection.sites[at]))
    }

    fn used_at(&self, at: usize) -> Option<FrameRecord<'_>> {
        self.used_at_of(self.inspection.selection.sites[at])
    }

    fn diagnostics(&self) -> Vec<DiagnosticRecord> {
        self.all_diagnostics()
    }
}

/// The record of a key of the image with the index `image_index`.
pub(crate) fn key_record<'a>(
    image: &'a Image<'_>,
    key: &Key,
    described: &'a KeyDescriptions,
    id: KeyId,
    image_index: usize,
    sites: usize,
) -> KeyRecord<'a> {
    let is_elsewhere = key.storage == KeyStorage::Elsewhere;
    KeyRecord {
        name: Cow::Borrowed(described.names().get(id).full()),
        kind: described.kind(id).name(),
        object_type: described.object_type(id).map(Cow::Borrowed),
        address: Address::new(image, key.address),
        symbol: key.symbol.map(|at| image.symbols().name(at.symbol)),
        offset: key.symbol.map(|at| at.offset),
        section: key.section.and_then(|id| section_name(image, id)).map(Cow::Borrowed),
        file_backed: key.is_file_backed(),
        enabled: key.enabled(),
        initial: key.initially_true().map(|on| if on { "true" } else { "false" }),
        dynamic_debug: described.dynamic_debug(image, id, key).map(ddebug_record),
        sites,
        image: (!is_elsewhere).then_some(image_index),
        unresolved: is_elsewhere.then(|| UNDEFINED_HERE.to_owned()),
    }
}

fn ddebug_record(site: DdebugSite<'_>) -> DdebugRecord {
    DdebugRecord {
        module: site.module.into_owned(),
        function: site.function.into_owned(),
        file: site.file.into_owned(),
        line: site.line,
        format: site.format.into_owned(),
    }
}

const UNDEFINED_HERE: &str =
    "undefined in this file: read it together with the kernel and the modules that it depends on";

/// The record of an image, with or without a table.
pub(crate) fn image_record(
    image: &Image<'_>,
    file: &ImageFile,
    has_debug_info: bool,
    debug_file: Option<&std::path::Path>,
) -> ImageRecord {
    ImageRecord {
        path: file.path().to_string_lossy().into_owned(),
        format: image.format().name(),
        container: file.container_name(),
        arch: image.arch().name(),
        r#type: image.type_name(),
        big_endian: image.is_big_endian(),
        build_id: image.build_id().map(|id| Hex(Cow::Owned(id.to_vec()))),
        release: image.release().map(str::to_owned),
        debug_info: has_debug_info,
        debug_file: debug_file.map(|path| path.to_string_lossy().into_owned()),
        signature: signature(file),
    }
}

/// The record of the signature appended to a module; `None` without one.
pub(super) fn signature(file: &ImageFile) -> Option<SignatureRecord> {
    let (signed_bytes, signers) = match file.signature() {
        Ok(None) => return None,
        Ok(Some(signature)) => {
            (Some(signature.content_len), signature.signers.map_err(|fault| fault.to_string()))
        }
        Err(fault) => (None, Err(fault.to_string())),
    };
    let error = signers.as_ref().err().cloned();
    let signers = signers.unwrap_or_default().into_iter().map(signer).collect();
    Some(SignatureRecord { signed_bytes, signers, error })
}

fn signer(signer: Signer) -> SignerRecord {
    let (name, key_id) = match signer.key {
        SignerKey::IssuerAndSerial { issuer, common_name, serial } => {
            (Some(common_name.unwrap_or(issuer)), serial)
        }
        SignerKey::SubjectKeyId(id) => (None, id),
    };
    SignerRecord {
        name,
        key_id: Hex(Cow::Owned(key_id)),
        digest: signer.digest,
        signature_algorithm: signer.signature_algorithm,
    }
}

fn frame_records(frames: &Frames) -> Result<Vec<Box<RawValue>>, serde_json::Error> {
    let record = |frame| serde_json::value::to_raw_value(&frame_record(frames, frame));
    frames.all().par_iter().map(record).collect()
}

fn diagnostic(image: &Image<'_>, image_index: usize, found: &Diagnostic) -> DiagnosticRecord {
    DiagnosticRecord {
        code: found.defect.code(),
        severity: found.defect.severity().name(),
        message: image.localize(&found.defect.to_string()).into_owned(),
        image: Some(image_index),
        site: found.site.map(SiteId::index),
        key: found.key.map(KeyId::index),
    }
}
