//! The process and its terminal: exit codes, output, progress, and how text is laid out.

pub(crate) mod exit;
pub(crate) mod interrupt;
pub(crate) mod listing;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod style;
pub(crate) mod wrapping;
