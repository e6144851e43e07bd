//! The committed manual pages are those that the program makes, and every
//! shell gets completions.

use crate::command::{jlctl, root, run};
use crate::directory::Directory;
use std::collections::BTreeMap;
use std::path::Path;

/// File names and contents of a directory.
fn pages(directory: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo run -- man man`", directory.display())
    });
    entries
        .map(|entry| entry.expect("a readable entry"))
        .filter(|entry| entry.file_type().expect("a type").is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().expect("the text is UTF-8");
            (name, std::fs::read_to_string(entry.path()).expect("a page is text"))
        })
        .collect()
}

#[test]
fn the_committed_pages_are_those_of_this_program() {
    let directory = Directory::new();
    let made = run(jlctl(&["man"]).arg(directory.root()));
    assert_eq!((made.code, made.stdout.as_str(), made.stderr.as_str()), (0, "", ""));
    let (made, committed) = (pages(directory.root()), pages(&root().join("man")));
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&made), "run `cargo run -- man man`");
    for (name, page) in &made {
        assert!(committed[name] == *page, "man/{name} is stale: run `cargo run -- man man`");
    }
    assert!(made.contains_key("jlctl.1") && made.contains_key("jlctl-inspect.1"));
}

#[test]
fn the_pages_document_exit_codes_and_diagnostics() {
    let pages = pages(&root().join("man"));
    let inspect = &pages["jlctl-inspect.1"];
    for code in (1..=16).chain([101, 102]).map(|code| format!("JT{code:03}")) {
        assert!(inspect.contains(&code), "{code} is explained");
    }
    assert!(pages["jlctl.1"].to_lowercase().contains("exit status"), "exit codes are explained");
    for page in pages.values() {
        assert!(page.contains(".TH ") && page.contains(".SH NAME"));
        let words = page.split_whitespace().filter_map(|word| word.split_once("(1)"));
        for (name, _) in words.filter(|(name, _)| name.starts_with("jlctl")) {
            let file = format!("{}.1", name.replace('\\', ""));
            assert!(pages.contains_key(&file), "{file} is referred to");
        }
    }
    let list = &pages["jlctl-ctl-list.1"];
    assert!(list.contains("jlctl ctl <PID> list") && list.contains("IMAGE"), "{list}");
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&mut jlctl(&["completions", shell]));
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        for word in ["inspect", "jlctl", "format"] {
            assert!(script.stdout.contains(word), "{word} for {shell}");
        }
    }
    assert_eq!(run(&mut jlctl(&["completions", "tcsh"])).code, 2);
}
