//! Source frames of sites, and their records.

use super::value::owned;
use jlctl_analyzer::debug_info::{Frame, FrameId, Frames};
use jlctl_analyzer::jump_table::SiteId;
use serde::Serialize;
use std::borrow::Cow;

/// Frames of some sites of a table.
pub(crate) struct SiteFrames {
    frames: Frames,
    /// For each site of the table, its index in `frames`.
    index: Vec<Option<usize>>,
}

impl SiteFrames {
    /// `frames` are those of `sites`, in that order, of a table of `sites_in_table`.
    pub(crate) fn new(frames: Frames, sites: &[SiteId], sites_in_table: usize) -> Self {
        let mut index = vec![None; sites_in_table];
        for (at, site) in sites.iter().enumerate() {
            index[site.index()] = Some(at);
        }
        Self { frames, index }
    }

    /// Frames of a site, innermost first.
    pub(crate) fn of(&self, site: SiteId) -> &[FrameId] {
        self.index[site.index()].map_or(&[], |index| self.frames.chain_ids(index))
    }

    pub(crate) fn all(&self) -> &Frames {
        &self.frames
    }

    /// Paths of the files of all frames, unordered and with repetitions.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.frames.all().iter().filter_map(|frame| Some(self.frames.string(frame.file?)))
    }

    /// As [`used_at`], of a site.
    pub(crate) fn used_at(&self, site: SiteId) -> Option<FrameId> {
        used_at(&self.frames, self.of(site))
    }

    /// The frame of [`Self::used_at`].
    pub(crate) fn used_at_frame(&self, site: SiteId) -> Option<&Frame> {
        self.used_at(site).map(|id| &self.frames.all()[id.index()])
    }
}

/// The frame of a chain, innermost first, in which a key is used: the first outside
/// `jump_label.h`, whose wrappers around the asm goto are the innermost frame of every site.
pub(crate) fn used_at(frames: &Frames, chain: &[FrameId]) -> Option<FrameId> {
    let mut ids = chain.iter().copied();
    let is_wrapper = |id: &FrameId| {
        let file = frames.all()[id.index()].file;
        let path = file.map_or("", |file| frames.string(file));
        path.rsplit('/').next() == Some("jump_label.h")
    };
    ids.find(|id| !is_wrapper(id)).or(chain.first().copied())
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct FrameRecord<'a> {
    pub(crate) function: Option<Cow<'a, str>>,
    pub(crate) file: Option<Cow<'a, str>>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl FrameRecord<'_> {
    pub(crate) fn into_owned(self) -> FrameRecord<'static> {
        let Self { function, file, line, column } = self;
        FrameRecord { function: owned(function), file: owned(file), line, column }
    }
}

pub(crate) fn frame_record<'a>(frames: &'a Frames, frame: &Frame) -> FrameRecord<'a> {
    let string = |id| Cow::Borrowed(frames.string(id));
    FrameRecord {
        function: frame.function.map(string),
        file: frame.file.map(string),
        line: frame.line,
        column: frame.column,
    }
}
