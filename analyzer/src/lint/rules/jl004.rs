//! JL004 sync issued before the last patch.
//!
//! # Algorithm
//! That of JL001 ([`super::jl001`]), where a synchronisation lies on the way to a patch and
//! none behind it.
//!
//! # False positives
//! As JL001.
//!
//! # False negatives
//! As JL001.

use crate::lint::rule::{Level, RuleDescriptor};

/// Synchronisation at the wrong place.
pub(in crate::lint) static JL004: RuleDescriptor = RuleDescriptor {
    code: "JL004",
    title: "sync issued before the last patch",
    level: Level::Error,
    finds: "A function synchronises other CPUs, then patches once more and returns. What was \
        patched last is not covered: another CPU may have fetched the old instruction again \
        between the two.",
    how: "As JL001, where a synchronisation lies on the way before the patch.",
    false_positives: "As JL001.",
    false_negatives: "As JL001.",
    history: "ftrace on arm64 issues a conditional interrupt before the last patch and \
        tolerates that by design; aarch64_insn_patch_text_sync had a race of this kind, \
        899d5933b2dd.",
    fix: "Move the synchronisation behind the last patch.",
};
