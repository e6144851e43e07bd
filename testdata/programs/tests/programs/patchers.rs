//! The lint on libraries of ordinary shape, as a compiler makes them.

use jlctl_analyzer::image::Image;
use jlctl_analyzer::lint::{Config, Level, lint};
use std::path::Path;
use std::process::Command;

/// Macros that select a patcher, and the highest level of its findings about synchronisation and
/// caches; `None` if there is none.
const CASES: [(&[&str], Option<Level>); 18] = [
    (&["CALLS_BY_POINTER"], Some(Level::Error)),
    (&["EXPORTED_MAINTENANCE"], Some(Level::Warning)),
    (&["SECOND_MAPPING"], Some(Level::Warning)),
    (&["BRANCH_IN_AN_OBJECT"], Some(Level::Warning)),
    (&["LOADED_AND_CHANGED"], Some(Level::Warning)),
    (&["CHANGED_BY_A_CALLEE"], Some(Level::Warning)),
    (&["MESSAGE_TO_A_PROCESS"], None),
    (&["HOOK_BY_REMAINDER"], Some(Level::Warning)),
    (&["PROCESS_MEMORY"], Some(Level::Warning)),
    (&["PROCESS_MEMORY_BY_SEEK"], Some(Level::Warning)),
    (&["READS_OWN_MEMORY"], None),
    (&["INLINE_MAINTENANCE"], Some(Level::Error)),
    (&["INLINE_MAINTENANCE", "SYNCHRONISES"], None),
    (&["WRAPPED_BARRIER", "COMMAND=SYNC_CORE"], None),
    (&["WRAPPED_BARRIER", "COMMAND=DATA_BARRIER"], Some(Level::Error)),
    (&["FRESH_CODE"], Some(Level::Note)),
    (&["LIST_OF_BLOCKS"], None),
    (&["BARRIER_FOR_DATA"], Some(Level::Note)),
];

/// The highest level of the findings in the library at `path`, without those about protections.
fn highest(path: &Path) -> Option<Level> {
    let bytes = std::fs::read(path).expect("the library");
    let image = Image::parse(&bytes).expect("an image");
    let report = lint(&image, None, &Config::default());
    let findings = report.findings.iter().filter(|finding| finding.rule != "JL011");
    findings.map(|finding| finding.level).max()
}

#[cfg_attr(not(feature = "emulation"), ignore = "needs a cross compiler: testdata/check runs it")]
#[test]
fn patchers_are_judged_by_evidence() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/c/patchers/patchers.c");
    let mut wrong = Vec::new();
    for (macros, expected) in CASES {
        for options in [&["-O2"][..], &["-O1"], &["-O2", "-s", "-mbranch-protection=standard"]] {
            let library = directory.path().join("patcher.so");
            let mut compiler = Command::new("aarch64-linux-gnu-gcc");
            compiler.args(["-shared", "-fPIC", source, "-o"]).arg(&library).args(options);
            compiler.args(macros.iter().map(|name| format!("-D{name}")));
            let output = compiler.output().expect("the compiler runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let found = highest(&library);
            if found != expected {
                wrong.push(format!("{macros:?} {options:?}: {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
