//! Demangling: from a mangled symbol to the path in Rust or C++.

use crate::pattern::Pattern;
use gimli::constants::{DW_LANG_C_plus_plus, DW_LANG_Rust};
use std::borrow::Cow;

/// Length of the longest symbol that is demangled, in bytes: time and memory of a demangler may
/// grow faster than the length.
const LONGEST: usize = 4096;

/// The path that `symbol` is mangled from, without the hash that distinguishes builds; `None`
/// if `symbol` is not mangled.
///
/// Covers Rust's legacy and v0 mangling (RFC 2603) and that of the Itanium C++ ABI.
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

/// Whether `pattern` matches a symbol, or the path that the symbol is mangled from.
#[must_use]
pub fn matches_symbol(pattern: &Pattern, symbol: &str) -> bool {
    pattern.matches(symbol) || demangled(symbol).is_some_and(|path| pattern.matches(&path))
}

/// `text` with each mangled symbol in it replaced by its path.
#[must_use]
pub fn with_paths(text: &str) -> Cow<'_, str> {
    // The characters of a symbol that an assembler accepts without quotes.
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || "_$.".contains(c));
    let mut out = String::new();
    // All text before this offset is in `out`.
    let mut done = 0;
    let mut from = 0;
    while from < text.len() {
        let rest = &text[from..];
        let length = rest.find(is_end).unwrap_or(rest.len());
        // A full stop at the end of a sentence is not part of the name.
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
