//! Which crates of the workspace a crate may depend on.

use super::Violation;

const DIRECTION: &str = "crates depend on each other in one direction";
const TYPED: &str = "libraries have typed errors, not anyhow";

/// The crates of ours that a crate may depend on, beside tests.
fn allowed(folder: &str) -> &'static [&'static str] {
    match folder {
        "analyzer" => &["jlctl-shim"],
        "testdata" => &["jlctl-shim", "jlctl-guest"],
        "patch-engine" => &["jlctl-shim", "jlctl-analyzer"],
        "cli" => &["jlctl-shim", "jlctl-analyzer", "jlctl-patch-engine"],
        _ => &[],
    }
}

/// The crate of ours that only a crate's tests may depend on: the test data, or
/// for the tests of those, the analyzer that reads them.
fn allowed_in_tests(folder: &str) -> &'static str {
    if folder == "testdata" { "jlctl-analyzer" } else { "jlctl-testdata" }
}

/// A dependency: the line, the table's kind and the name.
#[derive(Debug, PartialEq, Eq)]
struct Dependency<'a> {
    line: usize,
    for_tests: bool,
    name: &'a str,
}

/// Dependencies of the manifest `text` that its crate must not have.
pub(crate) fn check(folder: &str, path: &str, text: &str) -> Vec<Violation> {
    let rule = |dependency: &Dependency<'_>| {
        let ours = dependency.name == "jlctl" || dependency.name.starts_with("jlctl-");
        let for_tests = dependency.for_tests && dependency.name == allowed_in_tests(folder);
        if ours && !for_tests && !allowed(folder).contains(&dependency.name) {
            Some(DIRECTION)
        } else if dependency.name == "anyhow" && !matches!(folder, "cli" | "testdata") {
            Some(TYPED)
        } else {
            None
        }
    };
    let found = dependencies(text).into_iter().filter_map(|found| Some((rule(&found)?, found)));
    let violation = |(rule, dependency): (&'static str, Dependency<'_>)| Violation {
        path: path.to_owned(),
        line: dependency.line,
        rule,
        what: format!("{folder} must not depend on {}", dependency.name),
    };
    found.map(violation).collect()
}

fn dependencies(text: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut table = None;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']').trim();
            let (kind, name) = table_kind(header);
            table = kind.filter(|_| name.is_none());
            let dependency = kind.zip(name);
            found.extend(dependency.map(|(for_tests, name)| Dependency {
                line: line_number,
                for_tests,
                name,
            }));
        } else if let (Some(for_tests), Some((name, _))) = (table, line.split_once('=')) {
            let name = name.split('.').next().unwrap_or_default().trim().trim_matches('"');
            found.push(Dependency { line: line_number, for_tests, name });
        }
    }
    found
}

/// Whether a table lists dependencies, of tests alone or not, and the name of
/// the dependency if the table is about one.
fn table_kind(header: &str) -> (Option<bool>, Option<&str>) {
    for (kind, for_tests) in
        [("dev-dependencies", true), ("build-dependencies", false), ("dependencies", false)]
    {
        if header == kind || header.ends_with(&format!(".{kind}")) {
            return (Some(for_tests), None);
        }
        let of_target = format!(".{kind}.");
        let name = header.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.'));
        let name = name.or_else(|| header.split_once(&of_target).map(|(_, name)| name));
        if name.is_some() {
            return (Some(for_tests), name);
        }
    }
    (None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &str, text: &str) -> Vec<usize> {
        check(folder, "x/Cargo.toml", text).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn the_wrong_direction_is_found() {
        let text = "[package]\nname = \"jlctl-x\"\n[dependencies]\njlctl-analyzer.workspace = true\n\
            object = \"1\"\n";
        assert_eq!(lines("patch-engine", text), []);
        assert_eq!(lines("analyzer", text), [4]);
        assert_eq!(lines("runtime-shim", text), [4]);
        assert_eq!(lines("testdata", text), [4]);
        assert_eq!(lines("testdata/guest", text), [4]);
        let guest = "[dependencies]\njlctl-guest.workspace = true\n";
        assert_eq!((lines("testdata", guest), lines("cli", guest)), (vec![], vec![2]));
    }

    #[test]
    fn only_tests_may_use_the_test_data() {
        let text = "[dev-dependencies]\njlctl-testdata = { path = \"../testdata\" }\n\
            [dependencies.jlctl-testdata]\nworkspace = true\n\
            [target.'cfg(unix)'.dependencies]\njlctl-testdata.workspace = true\n";
        assert_eq!(lines("cli", text), [3, 6]);
        assert_eq!(lines("cli", "[dev-dependencies]\njlctl-testdata.workspace = true\n"), []);
    }

    #[test]
    fn tests_of_the_test_data_may_use_the_analyzer() {
        let text = "[dev-dependencies]\njlctl-analyzer.workspace = true\njlctl = \"1\"\n";
        assert_eq!(lines("testdata", text), [3]);
        assert_eq!(lines("runtime-shim", text), [2, 3]);
    }

    #[test]
    fn anyhow_is_for_programs() {
        let text = "[dependencies]\nanyhow.workspace = true\n";
        assert_eq!((lines("cli", text), lines("analyzer", text)), (vec![], vec![2]));
    }
}
