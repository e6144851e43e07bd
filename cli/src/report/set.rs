//! The records of a set of files, which were all made before.

use super::document::{Document, Head};
use super::record::{DiagnosticRecord, FrameRecord, KeyRecord, SiteRecord};
use crate::set::Set;
use std::borrow::Cow;

impl Document for Set {
    fn head(&self) -> Head {
        Head {
            image: None,
            table: None,
            images: self.files.clone(),
            summary: self.summary.clone(),
            selection: self.selection.clone(),
        }
    }

    fn keys(&self) -> Option<usize> {
        self.lists.keys.then_some(self.keys.len())
    }

    fn key(&self, at: usize) -> Cow<'_, KeyRecord<'_>> {
        Cow::Borrowed(&self.keys[at].record)
    }

    fn sites(&self) -> Option<usize> {
        self.lists.sites.then_some(self.sites.len())
    }

    fn site(&self, at: usize) -> Cow<'_, SiteRecord<'_>> {
        Cow::Borrowed(&self.sites[at].record)
    }

    fn interest(&self, at: usize) -> Option<FrameRecord<'_>> {
        self.sites[at].interest.clone()
    }

    fn diagnostics(&self) -> Vec<DiagnosticRecord> {
        self.diagnostics.clone()
    }
}
