//! The commands of the workflow and of the hook in the section LINT IN CI of jlctl-guide(7), run
//! as the guide shows them.

use crate::command::{Run, jlctl, root, run};
use crate::directory::Directory;
use jlctl_a64::lint_cases;
use std::fs;
use std::path::Path;

/// The section of the guide.
fn section() -> String {
    let path = root().join("man/src/jlctl-guide.7.md");
    let guide = fs::read_to_string(path).expect("there is a guide");
    let (_, rest) = guide.split_once("\n# LINT IN CI\n").expect("the section is there");
    rest.split("\n# ").next().expect("the section has a text").to_owned()
}

/// The words of the command after `begin`, including its continuation lines.
fn command(section: &str, begin: &str) -> Vec<String> {
    let (_, behind) = section.split_once(begin).unwrap_or_else(|| panic!("no {begin:?}"));
    let lines = behind.lines().take_while(|line| !line.trim_start().starts_with("- uses"));
    let lines = lines.take_while(|line| !line.trim_start().starts_with("files:"));
    let words = lines.flat_map(str::split_whitespace).skip_while(|word| *word != "jlctl");
    words.skip(1).map(str::to_owned).collect()
}

/// A repository whose build contains a program with an error of JL001, with the guide's
/// configuration file.
fn repository(section: &str) -> Directory {
    let directory = Directory::new();
    fs::create_dir(directory.path("build")).expect("a directory");
    let all = lint_cases::all();
    let buggy = all.iter().find(|case| {
        let is_error =
            |(rule, level, _): &(&str, &str, &str)| *rule == "JL001" && *level == "error";
        case.kernel.is_none() && case.expected.iter().any(is_error)
    });
    let bytes = &buggy.expect("a case of JL001").bytes;
    directory.write("build/buggy.ko", bytes);
    let toml = section.split("```toml\n").nth(1).expect("a configuration");
    let toml = toml.split("```").next().expect("its end");
    directory.write("lint.toml", toml);
    directory
}

fn run_in(directory: &Path, words: &[String]) -> Run {
    run(jlctl(&[]).args(words).current_dir(directory))
}

#[test]
fn the_workflow_fails_on_new_findings_and_reports_them() {
    let section = section();
    let directory = repository(&section);
    let here = directory.root();
    // The text before the workflow starts with a baseline.
    let known: Vec<String> = ["lint", "build/", "--write-baseline", "lint-baseline.json"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(section.replace('\n', " ").contains(&known.join(" ")), "{section}");
    let step = command(&section, "- run: >");
    assert_eq!(run_in(here, &known).code, 0);
    let passed = run_in(here, &step);
    assert_eq!((passed.code, passed.stdout.as_str()), (0, ""), "{passed:?}");
    let states = |run: &str| {
        let sarif = fs::read_to_string(here.join("lint.sarif")).expect("a report");
        let sarif: serde_json::Value = serde_json::from_str(&sarif).expect("the report is JSON");
        let results = sarif["runs"][0]["results"].as_array().expect(run).clone();
        results.iter().map(|result| result["baselineState"].clone()).collect::<Vec<_>>()
    };
    assert!(states("known").iter().all(|state| state == "unchanged"));
    fs::copy(here.join("build/buggy.ko"), here.join("build/new.ko")).expect("the file is copied");
    let failed = run_in(here, &step);
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""), "{failed:?}");
    assert!(states("new").iter().any(|state| state == "new"));
}

#[test]
fn the_hook_fails_on_a_file_with_an_error() {
    let section = section();
    let directory = repository(&section);
    let here = directory.root();
    let hook = command(&section, "entry:");
    let empty = Directory::new();
    let baseline = here.join("lint-baseline.json");
    let write = ["lint", "build/", "--write-baseline", "lint-baseline.json"].map(str::to_owned);
    assert_eq!(run_in(here, &write).code, 0);
    let files = [hook, vec!["build/buggy.ko".to_owned()]].concat();
    let passed = run_in(here, &files);
    assert_eq!(passed.code, 0, "{passed:?}");
    // Without the baseline.
    fs::rename(&baseline, empty.root().join("old")).expect("the file is moved");
    let nothing =
        lint_cases::all().into_iter().find(lint_cases::LintCase::is_sound).expect("a case");
    fs::write(here.join("sound"), nothing.bytes).expect("the file is written");
    let write = ["lint", "sound", "--write-baseline", "lint-baseline.json"].map(str::to_owned);
    assert_eq!(run_in(here, &write).code, 0);
    let failed = run_in(here, &files);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stdout.contains("JL001"), "{}", failed.stdout);
}
