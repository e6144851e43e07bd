//! Records that `jlctl link` writes into a finished program and that the runtime reads.

pub mod embed;
pub mod note;
