//! What goes into a look-up, and what each unit gives back.

use super::Dwarf;
use super::budget::Budget;
use super::error::DebugFault;
use super::names::UnitStarts;
use crate::addr::Svma;
use std::ops::Range;
use std::path::Path;

/// An address that is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) address: Svma,
    /// Its place in the list that the caller gave.
    pub(super) index: usize,
}

/// What all units of a look-up share.
pub(super) struct LookUp<'a> {
    pub(super) dwarf: &'a Dwarf<'a>,
    pub(super) starts: &'a UnitStarts,
    pub(super) budget: &'a Budget,
    /// Where the image lies; split debug information is looked for beside it.
    pub(super) image: &'a Path,
}

/// Frames found in one unit; strings and frames are indexes into its own lists.
#[derive(Debug, Default)]
pub(super) struct UnitFrames {
    pub(super) strings: Vec<String>,
    /// Frames, each once: chains share most of them.
    pub(super) frames: Vec<LocalFrame>,
    /// Indexes into `frames`.
    pub(super) ids: Vec<u32>,
    /// Index of the address, and where its chain stands in `ids`.
    pub(super) chains: Vec<(usize, Range<usize>)>,
    pub(super) faults: Vec<DebugFault>,
}

/// A frame whose strings are indexes into [`UnitFrames::strings`]; 0 is unknown
/// in line and column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LocalFrame {
    pub(super) function: Option<u32>,
    pub(super) file: Option<u32>,
    pub(super) line: u32,
    pub(super) column: u32,
}
