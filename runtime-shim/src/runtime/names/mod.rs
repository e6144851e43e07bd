//! Names of keys: the symbols of an object's file, and the names that a user gives them.

pub(crate) mod mangling;
pub(crate) mod symbols;
