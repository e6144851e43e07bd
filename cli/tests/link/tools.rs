//! What the tests of `jlctl link` share: the library, and what other tools say of a program.

use crate::command::{root, run};
use std::path::Path;
use std::process::Command;

/// Installs the library below `prefix`; for another machine, by its target with the variable
/// that names cargo its linker, which is `gcc`.
pub(crate) fn install(prefix: &Path, target: Option<(&str, &str)>, gcc: &str) {
    let mut install = Command::new(root().join("runtime-shim/install"));
    install.arg(prefix);
    install.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("link"));
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        install.env_remove(name);
    }
    if let Some((target, linker)) = target {
        install.arg(target).env(linker, gcc);
    }
    let done = install.output().expect("runtime-shim/install starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What a command prints, which must succeed.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let run = run(command);
    assert_eq!(run.code, 0, "{command:?}: {}{}", run.stdout, run.stderr);
    run.stdout
}

pub(crate) fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// readelf has no complaint, and eu-elflint none that it does not have of the program as its
/// linker made it, `before`.  Of our note it says that it does not know the owner.  What readelf
/// prints.
pub(crate) fn well_formed(before: &Path, after: &Path) -> String {
    let read = Command::new("readelf").args(["--all", "--wide"]).arg(after).output();
    let read = read.expect("readelf starts: is the package binutils there?");
    assert_eq!(String::from_utf8_lossy(&read.stderr), "", "{}", before.display());
    let known = complaints(before);
    let new: Vec<_> = complaints(after).into_iter().filter(|line| !known.contains(line)).collect();
    assert!(new.is_empty(), "{}: {new:?}", before.display());
    String::from_utf8_lossy(&read.stdout).into_owned()
}

fn complaints(program: &Path) -> Vec<String> {
    let lint = Command::new("eu-elflint").arg("--gnu-ld").arg(program).output();
    let lint = lint.expect("eu-elflint starts: is the package elfutils there?");
    let text = String::from_utf8_lossy(&lint.stdout).into_owned();
    let unknown = "unknown object file note type 1 with owner name 'jlctl' at offset ";
    let is_known = |line: &&str| line.contains(unknown) || *line == "No errors";
    text.lines().filter(|line| !is_known(line)).map(str::to_owned).collect()
}
