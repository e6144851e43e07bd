//! What modules need to know of the kernel that they are loaded into.

use std::collections::{BTreeMap, BTreeSet};

/// What the exported functions of a kernel do, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelSummary {
    /// Functions that may return with existing code patched and other CPUs not
    /// synchronised, with the function that patches.
    pub pending: BTreeMap<String, String>,
    /// Functions that patch existing code, exported or not, each with whether it is a
    /// finding above a note that nobody synchronises.
    pub patchers: BTreeMap<String, bool>,
    /// Functions that make other CPUs synchronise on every way through them.
    pub syncs: BTreeSet<String>,
}
