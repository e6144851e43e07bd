//! Source frames of sites, as debug information has them and as records.

use super::value::owned;
use jlctl_analyzer::debug_info::{Frame, FrameId, Frames};
use jlctl_analyzer::jump_table::SiteId;
use serde::Serialize;
use std::borrow::Cow;

/// Frames of some sites of a table.
pub(crate) struct SiteFrames {
    frames: Frames,
    /// For each site of the table its index in `frames`.
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

    /// Paths of the files that frames stand in, in no order, some repeatedly.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.frames.all().iter().filter_map(|frame| Some(self.frames.string(frame.file?)))
    }

    /// As [`of_interest`], of a site.
    pub(crate) fn of_interest(&self, site: SiteId) -> Option<&Frame> {
        of_interest(&self.frames, self.of(site))
    }
}

/// The frame of a chain that a person looks for: the first outside `jump_label.h`, whose
/// wrappers around the asm goto are the innermost frame of every site.
pub(crate) fn of_interest<'a>(frames: &'a Frames, chain: &[FrameId]) -> Option<&'a Frame> {
    let mut chain = chain.iter().map(|id| &frames.all()[id.index()]);
    let first = chain.clone().next();
    let is_wrapper = |frame: &&Frame| {
        let path = frame.file.map_or("", |file| frames.string(file));
        path.rsplit('/').next() == Some("jump_label.h")
    };
    chain.find(|frame| !is_wrapper(frame)).or(first)
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
