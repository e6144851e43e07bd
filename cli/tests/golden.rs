//! Reports compared with the committed ones.

use crate::command::root;
use std::fs;

/// Compares `found` with the file `name` of `testdata/golden/expect`, or replaces that file.
pub(crate) fn expect(name: &str, found: &str) {
    let path = root().join("testdata/golden/expect").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, found).expect("the expected report is written");
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    let line = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = line.unwrap_or_else(|| found.lines().count().min(wanted.lines().count()));
    assert!(
        found == wanted,
        "{name} differs from line {}: expected {:?}, found {:?}; if that is right, run \
         UPDATE_EXPECT=1 cargo test -p jlctl",
        line + 1,
        wanted.lines().nth(line),
        found.lines().nth(line)
    );
}
