//! Plans, checks, simulates and applies patches of jump-label sites.
//!
//! Nothing is here yet: planning follows reading.  The crate stands so that the
//! direction of dependencies (shim ← analyzer ← patch engine ← cli) is fixed
//! from the start.
#![warn(missing_docs)]
