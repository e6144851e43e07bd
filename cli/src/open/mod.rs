//! The files of a command line: finding, opening and reading them.

pub(crate) mod debug_info;
pub(crate) mod files;
pub(crate) mod images;
pub(crate) mod input;
pub(crate) mod plan_document;
pub(crate) mod threads;
