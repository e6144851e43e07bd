//! What a mangled symbol was before: a path of Rust or C++.

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
        let long = format!("_ZN{}17h0123456789abcdefE", "1a".repeat(LONGEST));
        assert_eq!(demangled(&long), None);
    }
}
