//! JL011: text writable and executable at once.

use crate::addr::AddrRange;
use crate::lint::finding::{Affected, Finding};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::{PROT_EXEC, PROT_WRITE, Subject};

pub(in crate::lint) static JL011: RuleDescriptor = RuleDescriptor {
    code: "JL011",
    name: "text writable and executable at once",
    level: Level::Note,
    since: "0.1.0",
    summary: "Memory of a program is writable and executable at the same time.",
    description: "Code that can write the memory can execute what it has written. A policy of W^X \
        refuses such memory (SELinux execmem, `MemoryDenyWriteExecute` of systemd, \
        `PR_SET_MDWE`).",
    algorithm: "The rule reports sections of a program that have both flags, which is a warning, \
        and calls of `mmap` and `mprotect` with a constant protection that includes `PROT_WRITE` \
        and `PROT_EXEC`. Kernels are left out, because a kernel's sections do not show how it \
        maps them.",
    false_positives: "- A program that is meant to have such memory, as a JIT compiler without a \
        second mapping.\n\
        - A data section that the toolchain marks as executable (gcl).",
    false_negatives: "- A protection that is not a constant.\n\
        - A second mapping of the same pages.",
    history: "JIT compilers have moved to two mappings of the same pages, or to a change of \
        protection around each batch.",
    fix: "Write through a second mapping, or make the pages writable for the batch only.",
};

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>) -> Vec<Finding> {
    if subject.is_kernel {
        return Vec::new();
    }
    let sections = subject
        .image
        .sections()
        .iter()
        .filter(|section| section.is_executable() && section.flags.write)
        .map(|section| Finding {
            rule: JL011.code,
            level: if holds_code(subject, section.range) { Level::Warning } else { Level::Note },
            function: None,
            address: Some(section.range.start()),
            message: format!("section {} is writable and executable", section.name),
            witness: Vec::new(),
            affected: Affected::default(),
            tolerated: None,
            why: None,
            fingerprint: format!("JL011:section:{}", section.name),
        });
    let both = PROT_WRITE | PROT_EXEC;
    let calls = subject.protections().iter().filter(|call| call.protection & both == both);
    let calls = calls.map(|call| {
        let name = subject.name(call.function);
        let message = format!("{name} makes memory writable and executable ({})", call.name);
        Finding::at(subject, &JL011, JL011.level, (call.function, call.at), call.name, message)
    });
    sections.chain(calls).collect()
}

/// Whether a section holds code, by symbols, calls or unwind tables.
fn holds_code(subject: &Subject<'_, '_>, range: AddrRange) -> bool {
    let program = &subject.program;
    program.ids().any(|id| {
        let start = program.function(id).range.start();
        range.contains(start) && subject.is_code(start)
    })
}
