//! From changes of counts to code that all threads execute.

pub(crate) mod apply;
pub(crate) mod changes;
mod code;
mod mappings;
pub(crate) mod record;
pub(crate) mod runtime;
pub(crate) mod table;
pub mod transform;
mod window;
mod write;
