//! What `jlctl inspect`, `plan` and `lint` say of a program with the keys `off_key` and `on_key`,
//! whatever was done to it.

use crate::command::{jlctl, run};
use std::path::Path;

/// How much of the program is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Its symbols, or the names of a link.
    Kept,
    /// Neither: keys are known by their addresses.
    Stripped,
}

/// The program in `directory` has two sites of two sound keys, which can be flipped, and nothing
/// that the lint finds; the runtime in a static one included.  The lint is about arm64, and says
/// so of others.
pub(crate) fn reads(directory: &Path, program: &str, is_arm64: bool, names: Names) {
    let jlctl = |args: &[&str]| run(jlctl(args).current_dir(directory));
    let inspected = jlctl(&["inspect", program, "--keys", "--no-source", "--format", "csv"]);
    assert_eq!((inspected.code, inspected.stderr.as_str()), (0, ""), "{program}: {inspected:?}");
    assert_eq!(inspected.stdout.lines().count(), 3, "{program}: {}", inspected.stdout);
    let has = |name| inspected.stdout.contains(name);
    let named = names == Names::Kept;
    assert_eq!((has("off_key"), has("on_key")), (named, named), "{program}: {}", inspected.stdout);
    let wish = if named { "on_key" } else { "*" };
    let plan = jlctl(&["plan", program, "--flip", wish, "--no-source", "--format", "json"]);
    assert_eq!((plan.code, plan.stderr.as_str()), (0, ""), "{program}: {plan:?}");
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    let ops = plan["ops"].as_array().map(Vec::len);
    assert_eq!(ops, Some(if named { 1 } else { 2 }), "{program}: {plan}");
    let lint = jlctl(&["lint", program]);
    let (code, told) = if is_arm64 { (0, "") } else { (4, "expected code for arm64") };
    assert_eq!(lint.code, code, "{program}: {lint:?}");
    assert!(lint.stderr.contains(told), "{program}: {lint:?}");
}
