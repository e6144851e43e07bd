//! The README and the manual pages: the commands that they show, and that pages are current.

use super::session::{Document, Workspace};
use crate::command::{jlctl, root};

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    #[cfg(feature = "real-images")]
    let workspace = workspace.with_kernel();
    #[cfg(feature = "tools")]
    let workspace = workspace.with_shim();
    workspace
}

fn check(path: &str) {
    Document::read(path).check(&workspace());
}

#[test]
fn sessions_of_the_readme() {
    let workspace = workspace();
    Document::read("README.md").check(&workspace);
    // The picture is the one that the session draws.
    if cfg!(feature = "real-images") {
        let committed = root().join("man/images/stale.svg");
        let drawn =
            std::fs::read_to_string(workspace.directory().join("stale.svg")).expect("a picture");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&committed, &drawn).expect("the picture is writable");
        }
        let committed = std::fs::read_to_string(committed).expect("the picture");
        assert_eq!(committed, drawn, "UPDATE_EXPECT=1 takes what was drawn");
    }
}

#[test]
fn the_readme_names_the_minimum_version_of_rust() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let (_, rest) = manifest.split_once("rust-version = \"").expect("a minimum version");
    let version = rest.split('"').next().expect("its end");
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.contains(&format!("Rust {version} or newer")), "it is {version}");
}

#[test]
fn sessions_of_the_guide() {
    check("man/src/jlctl-guide.7.md");
}

#[test]
fn sessions_of_the_page_on_names() {
    check("man/src/jlctl-names.7.md");
}

#[test]
fn sessions_of_the_page_on_the_runtime() {
    check("man/src/jlshim.7.md");
}

/// The command lines under "Examples" of the help text of `command`.
fn examples(command: &str) -> Vec<String> {
    let output = jlctl(&[command, "--help"]).output().expect("jlctl runs");
    let help = String::from_utf8(output.stdout).expect("help is UTF-8");
    let (_, lines) = help.split_once("\nExamples:\n").expect("examples");
    let mut examples: Vec<String> = Vec::new();
    for line in lines.lines().take_while(|line| !line.is_empty()) {
        match line.strip_prefix("  ") {
            Some(line) if line.starts_with("jlctl ") => examples.push(line.to_owned()),
            // A description is indented further.
            Some(line) if line.starts_with(' ') => {}
            // A long command line is wrapped between words.
            Some(rest) => {
                let last = examples.last_mut().expect("a command line before its rest");
                *last = format!("{last} {rest}");
            }
            None => panic!("{line:?} is not indented"),
        }
    }
    examples
}

#[test]
fn examples_of_the_pages() {
    let mut document = Document::read("cli/tests/documents/examples.md");
    document.check(&workspace());
    let commands = ["inspect", "diff", "plan", "apply", "simulate", "lint", "link", "ctl", "audit"];
    for command in commands {
        let examples = examples(command);
        assert!(examples.len() > 1, "{command}: {examples:?}");
        for example in examples {
            assert!(document.has(&example), "no session runs {example}");
        }
    }
}

/// The page on the rules of the lint, made from their descriptors.
fn page_on_rules() -> String {
    let rules = jlctl_analyzer::lint::rules_markdown(1);
    format!(
        "# NAME

jlctl-lint-rules - what the rules of jlctl lint find

# DESCRIPTION

**jlctl-lint**(1) reports findings by the code of their rule. Each section below states
what a rule finds and why that is wrong, how it finds it, its false positives, what it
misses, where the defect occurred, and how to fix it. `jlctl lint --explain` *RULE*
prints one section. Terms are defined in **jlctl-glossary**(7).

{rules}
# SEE ALSO

**jlctl-lint**(1), **jlctl-guide**(7), **jlctl-glossary**(7), **jlctl-formats**(5)
"
    )
}

#[test]
fn the_page_on_rules_is_that_of_their_descriptors() {
    let path = root().join("man/src/jlctl-lint-rules.7.md");
    let page = page_on_rules();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &page).expect("the page is writable");
    }
    let committed = std::fs::read_to_string(path).expect("the page");
    assert_eq!(committed, page, "run the test with UPDATE_EXPECT=1, then testdata/bin/man");
}

#[test]
fn pages_refer_to_pages() {
    let man = root().join("man");
    let entries = std::fs::read_dir(man.join("src")).expect("pages");
    for path in entries.map(|entry| entry.expect("a readable entry").path()) {
        let text = std::fs::read_to_string(&path).expect("a page");
        let is_moving = text.contains("+deb") || text.contains("bpo");
        assert!(!is_moving, "{} shows a kernel that Debian replaces", path.display());
        let names = text.split("**").zip(text.split("**").skip(1));
        for (name, rest) in names.filter(|(name, _)| name.starts_with("jl")) {
            let Some(section) = rest.strip_prefix('(').and_then(|rest| rest.get(..1)) else {
                continue;
            };
            let page = man.join(format!("{name}.{section}"));
            assert!(page.is_file(), "{} refers to {name}({section})", path.display());
        }
    }
}

#[test]
fn the_architecture_names_functions_that_exist() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the architecture");
    let steps = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next().filter(|word| word.ends_with(".rs"))?, words.next()?))
    });
    let mut count = 0;
    for (path, function) in steps {
        let source = std::fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("ARCHITECTURE.md: {path}: {error}"));
        let definition = format!("fn {function}");
        let follows =
            |(at, _): (usize, &str)| source[at + definition.len()..].starts_with(['(', '<']);
        let is_defined = source.match_indices(&definition).any(follows);
        assert!(is_defined, "ARCHITECTURE.md: {path} has no function {function}");
        count += 1;
    }
    assert!(count > 30, "four walks, of which {count} steps were read");
    assert!(text.len() <= 8 * 1024, "ARCHITECTURE.md has {} bytes, of at most 8 KiB", text.len());
}
