//! Why debug information cannot be read, whole or in part.

use crate::image::CompressedError;

/// No look-up is possible.
#[derive(Debug, thiserror::Error)]
pub enum DebugInfoError {
    /// The file has no DWARF.
    #[error("no debug information: expected a section .debug_info, found none")]
    Absent,
    /// A section cannot be inflated.
    #[error(transparent)]
    Compressed(#[from] CompressedError),
}

/// A part of the debug information that could not be read; addresses that it
/// covers have no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("debug information{}: {error}", of_unit(unit.as_ref()))]
pub struct DebugFault {
    /// Offset in `.debug_info` of the unit; `None` if it concerns no single one.
    pub unit: Option<u64>,
    /// What was expected and found.
    pub error: String,
}

fn of_unit(unit: Option<&u64>) -> String {
    unit.map(|offset| format!(" of the unit at .debug_info+{offset:#x}")).unwrap_or_default()
}
