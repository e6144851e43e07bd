//! Reports: each format is a module that turns an [`Inspection`] into bytes.

pub(crate) mod apply;
mod csv;
pub(crate) mod diff;
mod document;
mod json;
mod jsonl;
pub(crate) mod link;
pub(crate) mod lint;
mod listing;
pub(crate) mod live;
pub(crate) mod plan;
pub(crate) mod record;
mod set;
pub(crate) mod simulate;
mod single;
mod style;
mod text;
mod text_set;
pub(crate) mod way;

pub(crate) use single::{Records, frame_record, image_record, key_record};

use crate::args::Format;
use crate::output::Sink;
use crate::selection::{Filter, Selection};
use crate::set::Set;
use jlctl_analyzer::debug_info::{Frame, FrameId, Frames};
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::{Diagnostic, JumpTable, KeyDescriptions, SiteId};
use std::path::Path;

/// Everything that a report of `jlctl inspect` is made of.
pub(crate) struct Inspection<'a> {
    pub(crate) file: &'a ImageFile,
    pub(crate) image: &'a Image<'a>,
    pub(crate) table: &'a JumpTable<'a>,
    pub(crate) keys: &'a KeyDescriptions,
    pub(crate) selection: &'a Selection,
    pub(crate) filter: &'a Filter,
    pub(crate) diagnostics: &'a [Diagnostic],
    /// `None` if no debug information was read.
    pub(crate) frames: Option<&'a SiteFrames>,
    pub(crate) has_debug_info: bool,
    /// The separate file that the debug information is in.
    pub(crate) debug_file: Option<&'a Path>,
    pub(crate) lists: Lists,
}

/// Which lists a report carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lists {
    pub(crate) keys: bool,
    pub(crate) sites: bool,
}

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

/// Writes the report in a format.
///
/// # Errors
/// What the writer raises.
pub(crate) fn write(
    inspection: &Inspection<'_>,
    format: Format,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        Format::Text => text::write(inspection, sink),
        Format::Json => json::write(&Records::new(inspection, 0)?, sink.writer),
        Format::Jsonl => jsonl::write(&Records::new(inspection, 0)?, sink.writer),
        Format::Csv => csv::write(&Records::new(inspection, 0)?, sink.writer),
    }
}

/// As [`write()`], of a set of files.
///
/// # Errors
/// What the writer raises.
pub(crate) fn write_set(set: &Set, format: Format, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    match format {
        Format::Text => text_set::write(set, sink),
        Format::Json => json::write(set, sink.writer),
        Format::Jsonl => jsonl::write(set, sink.writer),
        Format::Csv => csv::write(set, sink.writer),
    }
}
