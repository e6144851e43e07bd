//! Whether a symbol matches a name that a user gives: in Rust and C++ the path of a static, of
//! which the symbol is a mangled form.
//!
//! Three manglings are decoded, as far as statics of modules, namespaces and functions need it:
//! Rust's legacy mangling (`_ZN`, lengths and names, `17h` and a hash, `E`), v0 (RFC 2603: `_R`,
//! nested paths `N` down to the crate `C`, then identifiers with optional disambiguators
//! `s…_`), and that of the Itanium C++ ABI (`_ZN` as well, or one name; an `L` marks a name
//! with internal linkage).  Any other symbol matches only itself.

/// Whether `symbol` matches the name `wanted`: the symbol itself, the path that it encodes
/// (`server::admin::TRACE`), or the end of that path (`admin::TRACE`, `TRACE`).
pub(crate) fn matches(symbol: &[u8], wanted: &[u8]) -> bool {
    if wanted.is_empty() {
        return false;
    }
    if symbol == wanted {
        return true;
    }
    let mut names = 0usize;
    if !for_each_name(symbol, &mut |_| names += 1) {
        return false;
    }
    let parts = 1 + wanted.windows(2).filter(|two| two == b"::").count();
    let Some(before) = names.checked_sub(parts) else { return false };
    let (mut at, mut rest) = (0usize, Some(wanted));
    for_each_name(symbol, &mut |name| {
        if at >= before {
            rest = rest.and_then(|rest| match at == before {
                true => rest.strip_prefix(name),
                false => rest.strip_prefix(b"::")?.strip_prefix(name),
            });
        }
        at += 1;
    });
    rest == Some(b"")
}

/// Calls `take` with each name of the path that `symbol` encodes, the crate's first.  Returns
/// whether `symbol` encodes a path.
fn for_each_name<'a>(symbol: &'a [u8], take: &mut dyn FnMut(&'a [u8])) -> bool {
    legacy(symbol, take).or_else(|| v0(symbol, take)).is_some()
}

/// Splits a name, preceded by its length in decimal digits, from the text that follows it.
fn counted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let len = core::str::from_utf8(number).ok()?.parse().ok()?;
    rest.split_at_checked(len)
}

/// The text without the mark of internal linkage.
fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"L").unwrap_or(text)
}

fn legacy<'a>(symbol: &'a [u8], take: &mut dyn FnMut(&'a [u8])) -> Option<()> {
    let rest = symbol.strip_prefix(b"_Z")?;
    let Some(mut rest) = rest.strip_prefix(b"N") else {
        let (name, after) = counted(unmarked(rest))?;
        return after.is_empty().then(|| take(name));
    };
    // The whole symbol is checked before the first name is passed on.
    let mut at = rest;
    while !at.starts_with(b"E") {
        at = counted(unmarked(at))?.1;
    }
    while !rest.starts_with(b"E") {
        let (name, after) = counted(unmarked(rest))?;
        let is_hash = after.starts_with(b"E") && name.len() == 17 && name.starts_with(b"h");
        if !is_hash {
            take(name);
        }
        rest = after;
    }
    Some(())
}

fn v0<'a>(symbol: &'a [u8], take: &mut dyn FnMut(&'a [u8])) -> Option<()> {
    let mut rest = symbol.strip_prefix(b"_R")?;
    let mut depth = 1usize;
    while let [b'N', namespace, after @ ..] = rest {
        if !namespace.is_ascii_alphabetic() {
            return None;
        }
        depth += 1;
        rest = after;
    }
    rest = rest.strip_prefix(b"C")?;
    for _ in 0..depth {
        let (name, after) = identifier(rest)?;
        take(name);
        rest = after;
    }
    Some(())
}

/// Splits an identifier of v0, without its disambiguator, from the text that follows it.
fn identifier(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = match text {
        [b's', after @ ..] => {
            let end = after.iter().position(|byte| *byte == b'_')?;
            after.get(end + 1..)?
        }
        _ => text,
    };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let len = core::str::from_utf8(number).ok()?.parse().ok()?;
    // An underscore separates the length from a name that begins with a digit or underscore.
    rest.strip_prefix(b"_").unwrap_or(rest).split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symbols of rustc 1.95 in both manglings, and of C++ compilers.
    #[test]
    fn symbols_match_their_paths() {
        let legacy = b"_ZN6server5admin5TRACE17h0123456789abcdefE";
        let v0 = b"_RNvNtCsabc123_6server5admin5TRACE";
        let in_function = b"_RNvNvNtCs1_6server5admin3run5TRACE";
        for symbol in [&legacy[..], v0] {
            for (wanted, is_it) in [
                ("server::admin::TRACE", true),
                ("TRACE", true),
                ("admin::TRACE", true),
                ("min::TRACE", false),
                ("x::server::admin::TRACE", false),
                ("::TRACE", false),
                ("TRACE::", false),
                ("server::admin", false),
                ("server::admin::TRACE::x", false),
                ("RACE", false),
                ("", false),
            ] {
                assert_eq!(matches(symbol, wanted.as_bytes()), is_it, "{wanted}");
            }
            assert!(matches(symbol, symbol));
        }
        assert!(matches(in_function, b"server::admin::run::TRACE"));
        for symbol in [&b"_ZN6server9trace_keyE"[..], b"_ZN6serverL9trace_keyE"] {
            assert!(matches(symbol, b"server::trace_key") && matches(symbol, b"trace_key"));
        }
        assert!(matches(b"_ZL9trace_key", b"trace_key"));
        assert!(!matches(b"_ZL9trace_key", b"key") && !matches(b"_ZL9trace_keyx", b"trace_key"));
        assert!(matches(b"trace_key", b"trace_key") && !matches(b"trace_key", b"key"));
    }

    #[test]
    fn damaged_symbols_encode_no_path() {
        for symbol in [
            "_ZN",
            "_ZN6ser",
            "_ZN99999999999999999999aE",
            "_R",
            "_RN",
            "_RNvC",
            "_RNvCs",
            "_RNvC6server",
            "_RNvC6server9",
            "_RNv",
            "_RN1C3abc1d",
        ] {
            assert!(!matches(symbol.as_bytes(), b"server"), "{symbol}");
            assert!(!for_each_name(symbol.as_bytes(), &mut |_| {}), "{symbol}");
        }
    }
}
