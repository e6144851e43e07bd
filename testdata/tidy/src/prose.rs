//! Phrases that comments, messages and documents do not use.
//!
//! Each has a plainer form in the field's terms. The list holds only phrases that are
//! wrong wherever they stand.

use crate::violation::Violation;

const RULE: &str = "prose is plain English in the field's terms";

/// A phrase, and what to write instead.
const PHRASES: [(&str, &str); 12] = [
    ("kept in mind", "tracked"),
    ("keeps in mind", "tracks"),
    ("comes to nothing", "say what is missing"),
    ("come to nothing", "say what is missing"),
    ("is told of", "is reported"),
    ("are told of", "are reported"),
    ("is told by", "is known by"),
    ("that are none", "false positives, or what they are"),
    ("that is none", "say what it is"),
    ("whoever", "the caller, the process"),
    ("as good as one", "say in what they are equal"),
    ("gone only", "say what removes it"),
];

/// Lines of a file that use such a phrase, in any case, across the ends of lines of one
/// comment or paragraph.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let lines: Vec<String> = text.lines().map(plain).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1).map_or("", String::as_str);
        let joined = format!("{line} {next}");
        for (phrase, instead) in PHRASES {
            let is_here = joined.match_indices(phrase).any(|(at, _)| {
                let is_whole =
                    |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                at < line.len()
                    && is_whole(joined[..at].chars().next_back())
                    && is_whole(joined[at + phrase.len()..].chars().next())
            });
            if is_here {
                let what = format!("found \"{phrase}\"; write: {instead}");
                found.push(Violation { path: path.to_owned(), line: index + 1, rule: RULE, what });
            }
        }
    }
    found
}

/// A line without the mark of its comment, in lower case.
fn plain(line: &str) -> String {
    let line = line.trim();
    let marks = ["//!", "///", "//", "#", "*"];
    let line = marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    line.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_in_a_line_and_across_two() {
        let lines = |text: &str| -> Vec<usize> {
            check("a.rs", text).iter().map(|found| found.line).collect()
        };
        assert_eq!(lines("/// The state is\n/// Kept in\n/// mind here."), [2]);
        assert_eq!(lines("let x; // Whoever calls\nwhoever_calls();"), [1]);
        assert_eq!(lines("// is told off\nfn is_told_of() {}"), [0; 0]);
    }
}
