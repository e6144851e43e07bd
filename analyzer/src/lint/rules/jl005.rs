//! JL005 only a local ISB.
//!
//! # Algorithm
//! That of JL001 ([`super::jl001`]), where an ISB stands behind the patch in the functions
//! that return with it; the one at the end of cache maintenance does not count.
//!
//! # False positives
//! Code that only one thread ever executes.
//!
//! # False negatives
//! As JL001.

use crate::lint::rule::{Level, RuleDescriptor};

/// Only this CPU synchronises.
pub(in crate::lint) static JL005: RuleDescriptor = RuleDescriptor {
    code: "JL005",
    title: "only a local ISB",
    level: Level::Error,
    finds: "A function patches and executes an ISB of its own. That synchronises the CPU it \
        runs on; all others may go on executing the old instructions.",
    how: "As JL001, where an ISB stands behind the patch in the functions that return with it; \
        the ISB at the end of cache maintenance does not count.",
    false_positives: "Code that only one thread ever executes.",
    false_negatives: "As JL001.",
    history: "The ISB at the end of flush_icache_range was long taken for enough on arm64.",
    fix: "As JL001; the ISB is not needed then.",
};
