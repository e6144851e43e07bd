//! What `jlctl link` writes into a program, and the runtime reads there.

pub mod embed;
pub mod note;
