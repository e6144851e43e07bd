//! JL005: only a local ISB.

use crate::lint::rule::{Level, RuleDescriptor};

pub(in crate::lint) static JL005: RuleDescriptor = RuleDescriptor {
    code: "JL005",
    name: "only a local ISB",
    level: Level::Error,
    since: "0.1.0",
    summary: "A function patches existing instructions and executes an ISB, which synchronises \
        its own CPU only.",
    description: "The ISB synchronises the CPU that executes it. All other CPUs may continue to \
        execute the old instructions.",
    algorithm: "As JL001, if an ISB follows the patch in the function that patches. The ISB at \
        the end of the cache maintenance does not count, because it belongs to the patching \
        primitive.",
    false_positives: "Code that only one thread ever executes.",
    false_negatives: "As JL001.",
    history: "Until 3b8c9f1cdfc5 (2018), `flush_icache_range` of Linux on arm64 ended with a \
        local ISB and interrupted no other CPU. The ISB was long believed to be sufficient.",
    fix: "Make all other CPUs synchronise after the last patch, as for JL001. The local ISB is \
        then unnecessary.",
};
