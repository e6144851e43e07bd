//! A Rust file as the rules see it: its raw lines, and the same lines with
//! comments, literals and test modules blanked.

use super::GUEST;

/// A file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    /// Lines as they are.
    pub(crate) raw: Vec<String>,
    /// Lines without comments and the contents of literals.
    pub(crate) code: Vec<String>,
    /// `code` without items under `#[cfg(test)]`.
    pub(crate) shipped: Vec<String>,
}

impl Source {
    /// Reads `text`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank_literals(text);
        let shipped = if is_test_file(path) { String::new() } else { blank_tests(&code) };
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Self {
            path: path.to_owned(),
            raw: lines(text),
            code: lines(&code),
            shipped: lines(&shipped),
        }
    }

    /// Whether the file is part of a library or a program.
    pub(crate) fn is_in_src(&self) -> bool {
        let below = self.path.strip_prefix(self.crate_folder());
        below.is_some_and(|path| path.starts_with("/src/"))
    }

    /// The folder of the crate.
    pub(crate) fn crate_folder(&self) -> &str {
        if self.path.strip_prefix(GUEST).is_some_and(|path| path.starts_with('/')) {
            return GUEST;
        }
        self.path.split('/').next().unwrap_or_default()
    }
}

/// Whether a file of `src/` is a test module of its own.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The `(line from 1, column)` of each occurrence of `word` as a whole word.
pub(crate) fn occurrences(lines: &[String], word: &str) -> Vec<(usize, usize)> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, _) in line.match_indices(word) {
            let before = line[..column].chars().next_back();
            let after = line[column + word.len()..].chars().next();
            if !before.is_some_and(in_word) && !after.is_some_and(in_word) {
                found.push((index + 1, column));
            }
        }
    }
    found
}

/// `text` with comments and literals blanked; every line stays a line.
fn blank_literals(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let previous = code.chars().next_back().unwrap_or(' ');
        let length = opaque_length(rest, previous);
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// Bytes of the comment or literal that `rest` starts with; 0 for code.
fn opaque_length(rest: &str, previous: char) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    if rest.starts_with('\'') && is_character(rest) {
        return quoted_length(rest, '\'');
    }
    let in_word = previous.is_alphanumeric() || previous == '_';
    if in_word { 0 } else { raw_string_length(rest) }
}

/// Whether the quote starts a character rather than a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    let pair = (characters.next(), characters.next());
    matches!(pair, (Some('\\'), _) | (Some(_), Some('\'')))
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_length(rest: &str) -> usize {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).unwrap_or_default();
    let hashes = body.len() - body.trim_start_matches('#').len();
    if !body[hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len() + hashes + 1;
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// `code` with the items under `#[cfg(test)]` blanked.
fn blank_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shipped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        shipped.push_str(&rest[..start]);
        let length = MARK.len() + item_length(&rest[start + MARK.len()..]);
        let item = &rest[start..start + length];
        shipped.extend(item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[start + length..];
    }
    shipped + rest
}

/// Bytes up to the end of the first item: its block, or its semicolon.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(character, '}' | ';') {
            return at + 1;
        }
    }
    code.len()
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "let a = \"unsafe \\\" x\"; // unsafe\nlet b = r#\"unsafe \" \"#; /* unsafe\n\
        /* unsafe */ */ let c: &'static str = b\"unsafe\"; let d = '\"'; unsafe_one();";
    let source = Source::new("a/src/a.rs", text);
    assert_eq!(source.raw.len(), source.code.len());
    assert!(occurrences(&source.code, "unsafe").is_empty(), "{:?}", source.code);
    assert_eq!(occurrences(&source.code, "static"), [(3, 25)]);
    assert_eq!(occurrences(&source.code, "unsafe_one").len(), 1);
}

#[test]
fn test_items_are_blanked() {
    let text = "use a;\n#[cfg(test)]\nmod tests {\n fn f() { b; }\n}\n#[cfg(test)]\nuse b;\nuse c;";
    let source = Source::new("a/src/a.rs", text);
    let shipped: Vec<&str> = source.shipped.iter().map(|line| line.trim()).collect();
    assert_eq!(shipped, ["use a;", "", "", "", "", "", "", "use c;"]);
    assert!(Source::new("a/src/x/tests.rs", "use b;").shipped.is_empty());
}

#[test]
fn files_belong_to_the_innermost_crate() {
    for (path, folder, is_in_src) in [
        ("testdata/guest/src/init/main.rs", "testdata/guest", true),
        ("testdata/guest/tests/outcomes.rs", "testdata/guest", false),
        ("testdata/src/vm/mod.rs", "testdata", true),
        ("testdata/guests.rs", "testdata", false),
        ("cli/src/main.rs", "cli", true),
    ] {
        let source = Source::new(path, "");
        assert_eq!((source.crate_folder(), source.is_in_src()), (folder, is_in_src), "{path}");
    }
}
