//! Words of the code that only some files may use.

use crate::source::{Next, Source, Word};
use crate::violation::Violation;

/// Words, and the beginnings of the paths that may use them.
struct Rule {
    /// A word; with `!` a macro that is called; with `::` two words in a row.
    words: &'static [&'static str],
    allowed: &'static [&'static str],
    rule: &'static str,
}

const RULES: [Rule; 7] = [
    Rule {
        words: &["goblin"],
        allowed: &["analyzer/src/image/", "testdata/"],
        rule: "only analyzer/src/image/ uses goblin",
    },
    Rule {
        words: &["gimli", "addr2line"],
        allowed: &["analyzer/src/debug_info/", "testdata/"],
        rule: "only analyzer/src/debug_info/ uses gimli and addr2line",
    },
    Rule {
        words: &["yaxpeax_arm"],
        allowed: &["analyzer/src/arch/a64.rs", "analyzer/src/semantics/a64", "testdata/"],
        rule: "only arch/a64.rs and semantics/a64*.rs of the analyzer use yaxpeax-arm",
    },
    Rule {
        words: &["yaxpeax_x86"],
        allowed: &["analyzer/src/arch/x86_64.rs", "testdata/"],
        rule: "only analyzer/src/arch/x86_64.rs uses yaxpeax-x86",
    },
    Rule {
        words: &["println!", "print!", "eprintln!", "eprint!"],
        allowed: &[
            "cli/src/",
            "testdata/corpus/src/main.rs",
            "testdata/tidy/src/main.rs",
            "testdata/vm/src/main.rs",
            "testdata/vm/guest/src/init/",
        ],
        rule: "only programs print",
    },
    Rule {
        words: &["process::exit", "ExitCode"],
        allowed: &[
            "cli/src/main.rs",
            "cli/src/terminal/exit.rs",
            "testdata/tidy/src/main.rs",
            "testdata/vm/src/main.rs",
            "testdata/vm/guest/src/init/main.rs",
        ],
        rule: "only main exits",
    },
    Rule {
        words: &["anyhow"],
        allowed: &["cli/", "testdata/"],
        rule: "libraries have typed errors, not anyhow",
    },
];

/// Where `unsafe` may be written.
const UNSAFE: [&str; 6] = [
    "runtime-shim/",
    "analyzer/src/image/mapped.rs",
    "patch-engine/src/process/detach.rs",
    "testdata/vm/guest/tests/",
    // A program with keys of another crate, whose functions are unsafe.
    "cli/tests/live/programs/",
    // A library that a test builds, and what it exports.
    "testdata/programs/rust/plugin.rs",
];

fn is_allowed(path: &str, allowed: &[&str]) -> bool {
    allowed.iter().any(|prefix| path.starts_with(prefix))
}

/// Words of the shipped code of `src/` that are not allowed there.
#[must_use]
pub fn check(source: &Source) -> Vec<Violation> {
    if !source.is_in_src() {
        return Vec::new();
    }
    let broken = RULES.iter().filter(|rule| !is_allowed(&source.path, rule.allowed));
    broken.flat_map(|rule| find(source, rule)).collect()
}

fn find(source: &Source, rule: &Rule) -> Vec<Violation> {
    let found = rule.words.iter().flat_map(|word| {
        let lines = occurrences(&source.shipped, word);
        lines.into_iter().map(move |line| (line, *word))
    });
    found
        .map(|(line, word)| violation(source, line, rule.rule, format!("{word} is used")))
        .collect()
}

/// The lines in which `words` have `wanted`, as [`Rule::words`] writes it.
fn occurrences(words: &[Word], wanted: &str) -> Vec<usize> {
    let is = |at: usize| match (wanted.split_once("::"), wanted.strip_suffix('!')) {
        (Some((first, second)), _) => {
            words[at].text == first && words.get(at + 1).is_some_and(|next| next.text == second)
        }
        (None, Some(name)) => words[at].text == name && words[at].next == Next::Bang,
        (None, None) => words[at].text == wanted,
    };
    (0..words.len()).filter(|at| is(*at)).map(|at| words[at].line).collect()
}

fn violation(source: &Source, line: usize, rule: &'static str, what: String) -> Violation {
    Violation { path: source.path.clone(), line, rule, what }
}

/// `unsafe` outside its files, or without a comment that says why it is sound.
#[must_use]
pub fn check_unsafe(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (at, word) in source.words.iter().enumerate() {
        if word.text != "unsafe" {
            continue;
        }
        if !is_allowed(&source.path, &UNSAFE) {
            let rule = "unsafe stays in the files that the architecture names";
            found.push(violation(source, word.line, rule, "unsafe is used".to_owned()));
        }
        let opens_impl = source.words.get(at + 1).is_some_and(|next| next.text == "impl");
        if (word.next == Next::Brace || opens_impl) && !has_reason(source, word.line) {
            let rule = "each unsafe block says why it is sound";
            let what = "no // SAFETY: comment above".to_owned();
            found.push(violation(source, word.line, rule, what));
        }
    }
    found
}

/// Whether the comment above the statement around `line` has `SAFETY:`.
fn has_reason(source: &Source, line: usize) -> bool {
    let comment_or_attribute = |text: &str| text.starts_with("//") || text.starts_with("#[");
    for at in (0..line - 1).rev() {
        let text = source.lines[at].trim();
        if text.starts_with("// SAFETY:") {
            return true;
        }
        let ends_statement = text.ends_with([';', '{', '}']) || text.is_empty();
        if ends_statement && !comment_or_attribute(text) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let source = Source::new(path, text).expect("these are tokens");
        let found = check(&source).into_iter().chain(check_unsafe(&source));
        found.map(|violation| (violation.line, violation.rule)).collect()
    }

    #[test]
    fn each_word_is_found_where_it_is_not_allowed() {
        for (text, path) in [
            ("use goblin::elf;", "analyzer/src/image/elf.rs"),
            ("use gimli::Dwarf;", "analyzer/src/debug_info/mod.rs"),
            ("use addr2line::Context;", "analyzer/src/debug_info/frames.rs"),
            ("use yaxpeax_arm::armv8;", "analyzer/src/arch/a64.rs"),
            ("println!();", "cli/src/inspect/text.rs"),
            ("eprint!();", "testdata/corpus/src/main.rs"),
            ("std::process::exit(1)", "cli/src/terminal/exit.rs"),
            ("use std::process::ExitCode;", "cli/src/main.rs"),
            ("use anyhow::Context;", "cli/src/inspect/run.rs"),
        ] {
            assert_eq!(rules(path, text), [], "{text}");
            assert_eq!(rules("patch-engine/src/plan.rs", text).len(), 1, "{text}");
            assert_eq!(rules("patch-engine/tests/plan.rs", text), [], "{text}");
            let test = format!("#[cfg(test)]\nmod tests {{ {text} }}");
            assert_eq!(rules("patch-engine/src/plan.rs", &test), [], "{text}");
            assert_eq!(rules("patch-engine/src/plan.rs", &format!("// {text}")), [], "{text}");
        }
        assert_eq!(rules("cli/src/inspect/text.rs", "exit_code(); my_println!();"), []);
    }

    #[test]
    fn unsafe_is_found() {
        let reasoned = "// SAFETY: it is\n// sound.\nlet x =\n    unsafe { f() };";
        assert_eq!(rules("runtime-shim/src/text.rs", reasoned), []);
        assert_eq!(rules("analyzer/src/image/mapped.rs", reasoned), []);
        assert_eq!(rules("analyzer/src/image/elf.rs", reasoned).len(), 1);
        assert_eq!(rules("testdata/vm/guest/tests/machine/code.rs", reasoned), []);
        assert_eq!(rules("cli/tests/run.rs", reasoned).len(), 1);
        let stale = "// SAFETY: of g.\ng();\nunsafe { f() };";
        assert_eq!(rules("runtime-shim/src/text.rs", stale).len(), 1);
        assert_eq!(rules("runtime-shim/src/text.rs", "f(); unsafe impl Send for X {}").len(), 1);
        assert_eq!(rules("runtime-shim/src/text.rs", "pub unsafe fn f();"), []);
    }
}
