//! JL004: sync issued before the last patch.

use crate::lint::rule::{Level, RuleDescriptor};

pub(in crate::lint) static JL004: RuleDescriptor = RuleDescriptor {
    code: "JL004",
    name: "sync issued before the last patch",
    level: Level::Error,
    since: "0.1.0",
    summary: "A function synchronises the other CPUs, patches once more and returns.",
    description: "The last patch is not covered by the synchronisation. Another CPU may have \
        fetched the old instruction again between the two.",
    algorithm: "As JL001, for an obligation that a patch creates after a synchronisation on the \
        same path, with no synchronisation after that patch.",
    false_positives: "As JL001.",
    false_negatives: "As JL001.",
    history: "- ftrace on arm64 issues a conditional interrupt before the last patch, and \
        upstream accepts that by design. The lint reports it as a note.\n\
        - 899d5933b2dd fixes a race in `aarch64_insn_patch_text_sync`.",
    fix: "Move the synchronisation after the last patch.",
};
