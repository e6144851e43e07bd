//! Inputs that once made a reader panic or hang, kept as the fuzzer found them.

use crate::invariants::image::check;
use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_survives() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/regressions");
    let entries = fs::read_dir(&directory).expect("the inputs are committed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no inputs in {}", directory.display());
    for path in paths {
        // Shown if it fails.
        println!("{}", path.display());
        check(&fs::read(&path).expect("it can be read"));
    }
}
