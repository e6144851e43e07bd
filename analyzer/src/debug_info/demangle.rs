//! What a mangled symbol was before: a path of Rust or C++.

use std::borrow::Cow;

use gimli::constants::{DW_LANG_C_plus_plus, DW_LANG_Rust};

/// Symbols longer than this stand as they are: what demangles them may take a time and memory
/// that grow faster than their length.
const LONGEST: usize = 4096;

/// The path that `symbol` is mangled from, without the hash that tells builds apart; `None`
/// if it is not mangled.
///
/// Rust's legacy and v0 manglings (RFC 2603), and that of the Itanium C++ ABI.
#[must_use]
pub fn demangled(symbol: &str) -> Option<String> {
    let is_mangled = ["_R", "_Z"].iter().any(|prefix| symbol.starts_with(prefix));
    if !is_mangled || symbol.len() > LONGEST {
        return None;
    }
    [DW_LANG_Rust, DW_LANG_C_plus_plus]
        .into_iter()
        .find_map(|language| addr2line::demangle(symbol, language))
        .filter(|path| !path.is_empty())
}

/// `text` with the paths that the symbols in it are mangled from in their place.
#[must_use]
pub fn with_paths(text: &str) -> Cow<'_, str> {
    // What assemblers take as a symbol without quotes.
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || "_$.".contains(c));
    let mut out = String::new();
    // All before it is in `out`.
    let mut done = 0;
    let mut from = 0;
    while from < text.len() {
        let rest = &text[from..];
        let length = rest.find(is_end).unwrap_or(rest.len());
        // The end of a sentence is no part of the name.
        let word = rest[..length].trim_end_matches('.');
        if let Some(path) = demangled(word) {
            out += &text[done..from];
            out += &path;
            done = from + word.len();
        }
        from += length + rest[length..].chars().next().map_or(0, char::len_utf8);
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out += &text[done..];
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symbols as rustc 1.95 and g++ 12 make them.
    #[test]
    fn symbols_of_three_manglings() {
        for (symbol, path) in [
            ("_ZN6server5TRACE17h0123456789abcdefE", Some("server::TRACE")),
            ("_RNvCsabc123_6server5TRACE", Some("server::TRACE")),
            ("_RNvNvCsabc123_6server3run5TRACE", Some("server::run::TRACE")),
            ("_ZL9trace_key", Some("trace_key")),
            ("_ZN6serverL9trace_keyE", Some("server::trace_key")),
            ("_ZZ4mainE9trace_key", Some("main::trace_key")),
            ("trace_key", None),
            ("_Rx", None),
            ("_Z", None),
            ("", None),
        ] {
            assert_eq!(demangled(symbol).as_deref(), path, "{symbol}");
        }
        for (text, expected) in [
            ("", ""),
            ("f calls é.", "f calls é."),
            ("JL001:_RNvCsabc123_6server3run>_ZL1f:x", "JL001:server::run>f:x"),
            ("_ZN6server3runEv.", "server::run()."),
            ("é_ZL1f, _ZL1g… of _ZL1h", "éf, g… of h"),
            ("__ZL1f and x_ZL1f", "__ZL1f and x_ZL1f"),
        ] {
            assert_eq!(with_paths(text), expected);
        }
        let long = format!("_ZN{}17h0123456789abcdefE", "1a".repeat(LONGEST));
        assert_eq!(demangled(&long), None);
    }
}
