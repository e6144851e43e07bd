//! The content of the machine-readable formats, for one image or a set.

use super::records::{
    DiagnosticRecord, FileRecord, ImageRecord, KeyRecord, SelectionRecord, SiteRecord,
    SummaryRecord, TableRecord,
};
use crate::schema::FrameRecord;
use serde::Serialize;
use std::borrow::Cow;

/// The part of a report before its lists.
#[derive(Serialize)]
pub(super) struct Head {
    /// The image and its table if there is one file; null for a set.
    pub(super) image: Option<ImageRecord>,
    pub(super) table: Option<TableRecord>,
    pub(super) images: Vec<FileRecord>,
    pub(super) summary: SummaryRecord,
    pub(super) selection: Option<SelectionRecord>,
}

/// A report whose records are made one by one: a kernel has tens of thousands.
pub(super) trait InspectDocument: Sync {
    fn head(&self) -> Head;

    /// Number of keys in the report; `None` if the report does not list them.
    fn keys(&self) -> Option<usize>;

    fn key(&self, at: usize) -> Cow<'_, KeyRecord<'_>>;

    /// Number of sites in the report; `None` if the report does not list them.
    fn sites(&self) -> Option<usize>;

    fn site(&self, at: usize) -> Cow<'_, SiteRecord<'_>>;

    /// The frame in which the key of a site is used.
    fn used_at(&self, at: usize) -> Option<FrameRecord<'_>>;

    fn diagnostics(&self) -> Vec<DiagnosticRecord>;
}
