//! The files that the command line names: which they are, and what is read of them.

pub(crate) mod debug_info;
pub(crate) mod files;
pub(crate) mod images;
pub(crate) mod input;
pub(crate) mod plan_document;
pub(crate) mod threads;
