//! Two images and the differences between them.

use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::jump_table::diff::{TableDiff, TableModel};
use std::path::Path;

/// One of the two images.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) path: &'a Path,
    pub(crate) image: &'a Image<'a>,
    pub(crate) table: &'a JumpTable<'a>,
    pub(crate) model: &'a TableModel<'a>,
}

/// The input of every report.
pub(crate) struct Comparison<'a> {
    pub(crate) a: Side<'a>,
    pub(crate) b: Side<'a>,
    /// The selected differences.
    pub(crate) diff: &'a TableDiff,
    /// The pattern that selects keys.
    pub(crate) key: Option<&'a str>,
    /// Whether text lists everything.
    pub(crate) all: bool,
    /// Whether the lists are left out.
    pub(crate) summary: bool,
}
