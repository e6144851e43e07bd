//! The rules of the architecture, checked over the whole workspace.
//!
//! Every rule is a function from text to [`Violation`]s and has tests of its
//! own on small inputs; the tests here only feed it the workspace.

mod manifest;
mod order;
mod source;
mod words;

use source::Source;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the workspace that hold a crate.
const CRATES: [&str; 6] = ["runtime-shim", "analyzer", "patch-engine", "cli", "testdata", GUEST];
/// The crate inside the folder of another.
const GUEST: &str = "testdata/guest";
/// Highest number of lines in a source file.
const MAX_LINES: usize = 500;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Every `.rs` file of the workspace, with its path from the root.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in CRATES.into_iter().filter(|folder| *folder != GUEST) {
        collect(&root(), Path::new(folder), &mut sources);
    }
    assert!(sources.len() > CRATES.len(), "the workspace has source files");
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(root.join(folder))
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a readable entry").file_name()).collect();
    names.sort();
    for name in names {
        let path = folder.join(&name);
        if root.join(&path).is_dir() {
            if name != "target" {
                collect(root, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&root.join(&path));
            sources.push(Source::new(path.to_str().expect("paths are UTF-8"), &text));
        }
    }
}

fn demand_none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

fn too_long(source: &Source) -> Option<Violation> {
    let lines = source.raw.len();
    (lines > MAX_LINES).then(|| Violation {
        path: source.path.clone(),
        line: MAX_LINES + 1,
        rule: "no file is longer than 500 lines",
        what: format!("the file has {lines}"),
    })
}

#[test]
fn files_are_short() {
    demand_none(&sources().iter().filter_map(too_long).collect::<Vec<_>>());
}

#[test]
fn words_stay_in_their_files() {
    demand_none(&sources().iter().flat_map(words::check).collect::<Vec<_>>());
}

#[test]
fn unsafe_code_is_confined_and_explained() {
    demand_none(&sources().iter().flat_map(words::check_unsafe).collect::<Vec<_>>());
}

#[test]
fn crates_depend_in_one_direction() {
    let check = |folder: &&str| {
        let path = format!("{folder}/Cargo.toml");
        manifest::check(folder, &path, &read(&root().join(&path)))
    };
    demand_none(&CRATES.iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn files_import_from_files_above_them() {
    let path = root().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path)
        .expect("ARCHITECTURE.md lists the files of each crate in dependency order");
    let lists = order::parse(&text);
    let all = sources();
    let check = |folder: &&str| order::check(folder, &lists, &all);
    demand_none(&CRATES.iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn a_long_file_is_found() {
    let text = "\n".repeat(MAX_LINES);
    assert_eq!(too_long(&Source::new("a.rs", &text)), None);
    let found = too_long(&Source::new("a.rs", &(text + "\n"))).expect("one line too many");
    assert_eq!(found.to_string(), "a.rs:501: no file is longer than 500 lines: the file has 501");
}
