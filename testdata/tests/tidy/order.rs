//! Within a crate a file imports only from files that ARCHITECTURE.md lists
//! above it.

use super::Violation;
use super::source::{Source, occurrences};
use std::collections::BTreeMap;

/// A crate's list: its `src/` folder and its files, in dependency order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct List {
    /// For example `analyzer/src/`.
    folder: String,
    /// Line in ARCHITECTURE.md and path below the folder.
    files: Vec<(usize, String)>,
}

/// Files that may be imported from everywhere, and import everything.
const EXCEPTED: [&str; 4] = ["lib.rs", "main.rs", "mod.rs", "error.rs"];
const DOCUMENT: &str = "ARCHITECTURE.md";
const LISTED: &str = "ARCHITECTURE.md lists exactly the files of each crate";
const ORDER: &str = "a file imports only from files listed above it";

/// The fenced lists of `document`.
pub(crate) fn parse(document: &str) -> Vec<List> {
    let mut lists = Vec::new();
    let mut fenced = false;
    let mut current: Option<List> = None;
    for (index, line) in document.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            lists.extend(current.take());
        } else if fenced && !line.starts_with(' ') && line.trim_end().ends_with("/src/") {
            lists.extend(current.take());
            current = Some(List { folder: line.trim_end().to_owned(), files: Vec::new() });
        } else if let (Some(list), Some(file)) = (&mut current, line.split_whitespace().next())
            && file.ends_with(".rs")
        {
            list.files.push((index + 1, file.to_owned()));
        }
    }
    lists.extend(current);
    lists
}

/// Violations in the crate in `folder`.
pub(crate) fn check(folder: &str, lists: &[List], sources: &[Source]) -> Vec<Violation> {
    let src = format!("{folder}/src/");
    let Some(list) = lists.iter().find(|list| list.folder == src) else {
        let what = format!("there is no list that begins with {src}");
        return vec![Violation { path: DOCUMENT.to_owned(), line: 1, rule: LISTED, what }];
    };
    let ours = || {
        let of_crate = sources.iter().filter(|source| source.crate_folder() == folder);
        of_crate.filter_map(|source| Some((source.path.strip_prefix(&src)?, source)))
    };
    let ranks: BTreeMap<&str, usize> =
        list.files.iter().zip(0..).map(|((_, file), rank)| (file.as_str(), rank)).collect();
    let mut found: Vec<Violation> = ours()
        .filter(|(file, _)| !ranks.contains_key(file))
        .map(|(_, source)| Violation {
            path: source.path.clone(),
            line: 1,
            rule: LISTED,
            what: "the file is not listed".to_owned(),
        })
        .collect();
    found.extend(list.files.iter().filter(|(_, file)| !ours().any(|(ours, _)| ours == file)).map(
        |(line, file)| Violation {
            path: DOCUMENT.to_owned(),
            line: *line,
            rule: LISTED,
            what: format!("there is no file {src}{file}"),
        },
    ));
    found.extend(ours().flat_map(|(file, source)| check_file(file, source, &ranks)));
    found
}

fn is_excepted(file: &str) -> bool {
    EXCEPTED.contains(&file.rsplit('/').next().unwrap_or(file))
}

fn check_file(file: &str, source: &Source, ranks: &BTreeMap<&str, usize>) -> Vec<Violation> {
    let Some(own) = ranks.get(file).filter(|_| !is_excepted(file)) else {
        return Vec::new();
    };
    let wrong = |(line, path): (usize, Vec<String>)| {
        let (imported, rank) = resolve(&path, ranks)?;
        (rank > *own && !is_excepted(imported)).then(|| Violation {
            path: source.path.clone(),
            line,
            rule: ORDER,
            what: format!("{file} imports from {imported}, which is listed below it"),
        })
    };
    let mut found: Vec<Violation> =
        imports(file, &source.shipped).into_iter().filter_map(wrong).collect();
    // One import of several names is one violation.
    found.dedup();
    found
}

/// The file that holds the deepest module of `path` that is a file.
fn resolve<'a>(path: &[String], ranks: &BTreeMap<&'a str, usize>) -> Option<(&'a str, usize)> {
    (1..=path.len()).rev().find_map(|length| {
        let module = path[..length].join("/");
        let named = |name: String| ranks.get_key_value(name.as_str()).map(|(k, v)| (*k, *v));
        named(format!("{module}.rs")).or_else(|| named(format!("{module}/mod.rs")))
    })
}

/// Every path into the crate that `file` names: its line, and its segments
/// from the crate's root.
fn imports(file: &str, lines: &[String]) -> Vec<(usize, Vec<String>)> {
    let text = lines.join("\n");
    let line_starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let own: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let mut found = Vec::new();
    for root in ["crate", "self", "super"] {
        for (line, column) in occurrences(lines, root) {
            let at = line_starts[line - 1] + column;
            // `super` in `super::super` belongs to the path before it.
            if !text[at + root.len()..].trim_start().starts_with("::")
                || text[..at].trim_end().ends_with("::")
            {
                continue;
            }
            let mut paths = Vec::new();
            expand(&text[at..], &mut Vec::new(), &mut paths);
            found.extend(paths.into_iter().map(|path| (line, absolute(&own, path))));
        }
    }
    found
}

/// `path` from the crate's root, as the module `own` means it.
fn absolute(own: &[String], path: Vec<String>) -> Vec<String> {
    let mut base: Vec<String> = Vec::new();
    for (index, segment) in path.into_iter().enumerate() {
        match segment.as_str() {
            "crate" => {}
            "self" if index == 0 => base = own.to_vec(),
            "super" => {
                if index == 0 {
                    base = own.to_vec();
                }
                base.pop();
            }
            "self" => {}
            _ => base.push(segment),
        }
    }
    base
}

/// Collects the paths of the tree at the start of `text` (`a::{b, c::d}`) and
/// returns how many bytes it takes.
fn expand(text: &str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
    let start = text.len() - text.trim_start().len();
    let rest = &text[start..];
    if let Some(group) = rest.strip_prefix('{') {
        let mut used = 0;
        while !matches!(group[used..].trim_start().chars().next(), None | Some('}')) {
            used += expand(&group[used..], prefix, paths);
            used += group[used..].find([',', '}']).unwrap_or(group.len() - used);
            used += usize::from(group[used..].starts_with(','));
        }
        let close = group[used..].find('}').map_or(group.len(), |at| used + at + 1);
        return start + 1 + close;
    }
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
    prefix.push(rest[..length].to_owned());
    let tail = &rest[length..];
    let more = tail
        .trim_start()
        .strip_prefix("::")
        .filter(|more| more.trim_start().starts_with(|c: char| in_word(c) || c == '{'));
    let used = match more {
        Some(more) => tail.len() - more.len() + expand(more, prefix, paths),
        None => {
            paths.push(prefix.clone());
            0
        }
    };
    prefix.pop();
    start + length + used
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Title\n```\nx/src/\n  lib.rs    all\n  a.rs      first\n  \
        b/mod.rs  second\n  b/c.rs    third\n  d.rs      fourth\n```\nprose.rs\n";

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let text =
            |name: &str| files.iter().find(|(file, _)| *file == name).map_or("", |(_, text)| *text);
        let names = ["lib.rs", "a.rs", "b/mod.rs", "b/c.rs", "d.rs"];
        let known = names.map(|name| Source::new(&format!("x/src/{name}"), text(name)));
        let extra = files.iter().filter(|(name, _)| !names.contains(name));
        let extra = extra.map(|(name, text)| Source::new(&format!("x/src/{name}"), text));
        let sources: Vec<Source> = known.into_iter().chain(extra).collect();
        check("x", &parse(DOCUMENT), &sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_from_above_are_fine() {
        let d = "use crate::{a::X, b::{self, c::Y}};\nfn f() { crate::b::c::g(); }";
        let c =
            "use super::Z;\nuse super::super::a;\nuse crate::Q;\n#[cfg(test)]\nuse crate::d::W;";
        assert_eq!(messages(&[("d.rs", d), ("b/c.rs", c), ("lib.rs", "use crate::d;")]), [""; 0]);
    }

    #[test]
    fn imports_from_below_are_found() {
        for (a, line) in [
            ("use crate::d::W;", 1),
            ("\nuse super::d;", 2),
            ("use crate::{\n    b::{M, c::{P, Q}},\n    b::N,\n};", 1),
            ("fn f() {\n\n crate::d::g(); }", 3),
        ] {
            let found = messages(&[("a.rs", a)]);
            assert!(
                !found.is_empty() && found[0].starts_with(&format!("x/src/a.rs:{line}: ")),
                "{a}"
            );
            assert!(found[0].contains("listed below"), "{}", found[0]);
        }
        assert_eq!(messages(&[("b/c.rs", "use super::super::d;")]).len(), 1);
    }

    #[test]
    fn lists_and_files_agree() {
        let found = messages(&[("e.rs", "")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("x/src/e.rs:1: "), "{}", found[0]);
        let gone = check("x", &parse(DOCUMENT), &[Source::new("x/src/a.rs", "")]);
        assert!(gone.iter().any(|v| v.line == 8 && v.what.ends_with("x/src/d.rs")), "{gone:?}");
        assert_eq!(check("y", &parse(DOCUMENT), &[])[0].rule, LISTED);
    }
}
