//! Names of keys: the symbols of a file, and what a person calls them.

pub(crate) mod mangling;
pub(crate) mod symbols;
