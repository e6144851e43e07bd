//! A Rust file as the rules see it: its lines, and its words without comments and
//! literals.

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use std::str::FromStr as _;

/// A file.
#[derive(Debug)]
pub struct Source {
    /// From the workspace's root, with `/`.
    pub path: String,
    /// The lines of the file.
    pub lines: Vec<String>,
    /// All identifiers and keywords.
    pub words: Vec<Word>,
    /// The words that are not under `#[cfg(test)]`; none in a file of tests.
    pub shipped: Vec<Word>,
}

/// An identifier or keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// From 1.
    pub line: usize,
    pub text: String,
    /// What follows it.
    pub next: Next,
}

/// The token after a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// `!`, as in a macro's call.
    Bang,
    /// A block.
    Brace,
    /// Another token, or none.
    Other,
}

impl Source {
    /// Reads `text`.
    ///
    /// # Errors
    /// If `text` is not made of Rust's tokens: the line, and what is wrong with it.
    pub fn new(path: &str, text: &str) -> Result<Self, String> {
        let tokens = TokenStream::from_str(text).map_err(|error| {
            let LineColumn { line, .. } = error.span().start();
            format!("{path}:{line}: {error}")
        })?;
        let mut words = Vec::new();
        collect(&tokens, false, &mut words);
        let mut shipped = Vec::new();
        if !is_test_file(path) {
            collect(&tokens, true, &mut shipped);
        }
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { path: path.to_owned(), lines, words, shipped })
    }

    /// Whether the file is part of a library or a program.
    #[must_use]
    pub fn is_in_src(&self) -> bool {
        self.path.contains("/src/")
    }
}

/// Whether a file of `src/` is a module of tests.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Appends the words of `tokens`, without test items if `shipped`.
fn collect(tokens: &TokenStream, shipped: bool, words: &mut Vec<Word>) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if shipped && is_cfg_test(&tokens[at..]) {
            at += item_length(&tokens[at..]);
            continue;
        }
        match token {
            TokenTree::Group(group) => collect(&group.stream(), shipped, words),
            TokenTree::Ident(ident) => words.push(Word {
                line: ident.span().start().line,
                text: ident.to_string(),
                next: next(tokens.get(at + 1)),
            }),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}

fn next(token: Option<&TokenTree>) -> Next {
    match token {
        Some(TokenTree::Punct(punct)) if punct.as_char() == '!' => Next::Bang,
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Next::Brace,
        _ => Next::Other,
    }
}

/// Whether `tokens` begin with `#[cfg(test)]`.
fn is_cfg_test(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] = tokens else { return false };
    hash.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// How many of `tokens` are the attributes of the first item and the item: up to its
/// block, or for an import up to its semicolon.
fn item_length(tokens: &[TokenTree]) -> usize {
    let mut is_import = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "use" => is_import = true,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return at + 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_import => {
                return at + 1;
            }
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(words: &[Word], text: &str) -> Vec<usize> {
        words.iter().filter(|word| word.text == text).map(|word| word.line).collect()
    }

    #[test]
    fn comments_and_literals_have_no_words() {
        let text = "let a = \"unsafe \\\" x\"; // unsafe\nlet b = r#\"unsafe \" \"#; /* unsafe\n\
            /* unsafe */ */ let c: &'static str = b\"unsafe\"; let d = '\"'; unsafe_one();";
        let source = Source::new("a/src/a.rs", text).expect("these are tokens");
        assert_eq!(lines_of(&source.words, "unsafe"), [0; 0]);
        assert_eq!(lines_of(&source.words, "unsafe_one"), [3]);
        assert_eq!(lines_of(&source.words, "b"), [2]);
    }

    #[test]
    fn items_of_tests_are_not_shipped() {
        let text = "use a;\n#[cfg(test)]\nmod tests {\n fn f() { b; }\n}\n#[cfg(test)]\nuse {b, b};\n\
            use c;\nmod d {\n #[cfg(test)]\n #[allow(x)]\n fn b() -> [u8; 2] {}\n fn e() {} }";
        let source = Source::new("a/src/a.rs", text).expect("these are tokens");
        let shipped: Vec<&str> = source.shipped.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(shipped, ["use", "a", "use", "c", "mod", "d", "fn", "e"]);
        assert!(lines_of(&source.words, "b").len() == 4);
        let tests = Source::new("a/src/x/tests.rs", "use b;").expect("these are tokens");
        assert_eq!(tests.shipped, []);
    }

    #[test]
    fn what_is_not_rust_is_reported_with_its_line() {
        let error = Source::new("a/src/a.rs", "fn f() {\n(\n}").expect_err("a lone bracket");
        assert!(error.starts_with("a/src/a.rs:"), "{error}");
    }
}
