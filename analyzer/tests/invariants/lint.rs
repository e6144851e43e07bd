//! The invariants of the lint, for any input.  The fuzz target and the tests of damaged programs
//! share this function.

use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::lint::{Config, lint_in};
use std::collections::HashSet;

/// Lints `bytes`; panics if the report contradicts itself or the library itself panics.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(image) = Image::parse(bytes) else { return };
    let table = JumpTable::read(&image).ok();
    let (report, summary) = lint_in(&image, table.as_ref(), &Config::default(), None);
    let fingerprints: HashSet<&str> =
        report.findings.iter().map(|finding| finding.fingerprint.as_str()).collect();
    assert_eq!(fingerprints.len(), report.findings.len(), "one finding for one cause");
    assert!(report.findings.iter().all(|finding| !finding.message.is_empty()));
    assert!(report.coverage.undecoded <= report.coverage.instructions);
    // The summary that a module gets of its kernel must not make the lint panic either.
    let _ = lint_in(&image, table.as_ref(), &Config::default(), Some(&summary));
}
