//! JL011 text writable and executable at once.
//!
//! # Algorithm
//! Sections of a program that are both, and calls of mmap and mprotect that ask for both.
//!
//! # False positives
//! Programs that are meant to (a JIT without a second mapping).
//!
//! # False negatives
//! Protections that are no constants; a second mapping of the same pages.

use crate::lint::finding::{Affected, Finding};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::{PROT_EXEC, PROT_WRITE, Subject};

pub(in crate::lint) static JL011: RuleDescriptor = RuleDescriptor {
    code: "JL011",
    title: "text writable and executable at once",
    level: Level::Note,
    finds: "Memory is writable and executable at the same time: whoever can write it can execute \
        what they like, and a policy of W^X refuses it (SELinux execmem, systemd's \
        MemoryDenyWriteExecute, PR_SET_MDWE).",
    how: "Sections with both flags; mmap and mprotect with a constant of both PROT_WRITE and \
        PROT_EXEC.",
    false_positives: "Programs that are meant to do so.",
    false_negatives: "Protections that are no constants, a second mapping of the same pages. \
        Kernels are left out: their one segment says nothing.",
    history: "JITs have moved to two mappings or to a change of protection for each batch.",
    fix: "Write through a second mapping, or make the pages writable for the batch alone.",
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
            level: Level::Warning,
            function: None,
            address: Some(section.range.start()),
            message: format!("section {} is writable and executable", section.name),
            witness: Vec::new(),
            affected: Affected::default(),
            tolerated: None,
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
