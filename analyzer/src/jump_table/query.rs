//! The grammar by which options and commands name keys:
//!
//! | form | matches |
//! |---|---|
//! | `symbol` | the key of that name, or every key inside that object |
//! | `crate::module::NAME`, `module::NAME`, `NAME` | in Rust and C++: the path, or its end |
//! | `symbol+0x8`, `symbol.member`, `symbol[5]` | a key inside a larger object |
//! | `file:` before one of these | only keys of that source file (or the end of its path) |
//! | `0xADDRESS` | the key at that address |
//! | a glob (`*`, `?`, `[…]`, `{…}`) | all keys whose complete name or symbol it matches |
//! | `/REGEX/` | all keys whose name contains a match |
//!
//! A literal name takes precedence over a pattern: `cpu_hwcap_keys[5]` is the element at index
//! 5, although it is also a glob.

use super::name::KeyName;
use crate::addr::Svma;
use crate::pattern::{Pattern, PatternError};

/// A name of keys as entered by the user.
#[derive(Debug)]
pub struct KeyQuery {
    text: String,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Address(Svma),
    Name,
    Pattern(Pattern),
}

/// Why a query does not lead to the expected keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No key matches.
    #[error(
        "{text}: no key has this name{}{}",
        if nearest.is_empty() { "" } else { "; nearest: " }, nearest.join(", ")
    )]
    Unknown {
        /// The query.
        text: String,
        /// Names with a similar spelling, most similar first.
        nearest: Vec<String>,
    },
    /// Several keys match where one is required.
    #[error("{text}: expected one key, found {}: {}", candidates.len(), candidates.join(", "))]
    Ambiguous {
        /// The query.
        text: String,
        /// The names of all matching keys.
        candidates: Vec<String>,
    },
}

/// Most names that are suggested.
const SUGGESTIONS: usize = 3;
/// Least similarity (0 to 1) of a suggested name.
const SIMILAR: f64 = 0.75;

impl KeyQuery {
    /// Parses a query.
    ///
    /// # Errors
    /// If the query is a glob or a regular expression that is not valid.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let hex = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let form = match hex {
            Some(address) => Form::Address(Svma(address)),
            None if Pattern::is_pattern(text) => match Pattern::parse(text) {
                Ok(pattern) => Form::Pattern(pattern),
                // `keys[5` is not a valid glob, but it may be part of a name.
                Err(error) if text.starts_with('/') => return Err(error),
                Err(error) if !text.contains('[') => return Err(error),
                Err(_) => Form::Name,
            },
            None => Form::Name,
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// The query as entered.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the query is a glob or a regular expression, which may match several keys.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        matches!(self.form, Form::Pattern(_))
    }

    /// Indexes of all matching keys.  `address` gives the address of a key by its index, `None`
    /// for a key without an address that users know.
    #[must_use]
    pub fn find(&self, names: &[KeyName], address: impl Fn(usize) -> Option<Svma>) -> Vec<usize> {
        let all = |fits: &dyn Fn(usize, &KeyName) -> bool| -> Vec<usize> {
            let fitting = names.iter().enumerate().filter(|(at, name)| fits(*at, name));
            fitting.map(|(at, _)| at).collect()
        };
        if let Form::Address(wanted) = self.form {
            return all(&|at, _| address(at) == Some(wanted));
        }
        // Literal names first, then complete objects, then patterns.
        let found = all(&|_, name| self.names(name));
        if !found.is_empty() {
            return found;
        }
        let found = all(&|_, name| self.names_object(name));
        if !found.is_empty() {
            return found;
        }
        let found = all(&|_, name| self.ends_path(name));
        match &self.form {
            Form::Pattern(pattern) if found.is_empty() => {
                all(&|_, name| matches_pattern(pattern, name))
            }
            _ => found,
        }
    }

    /// As [`Self::find`], but at least one key.
    ///
    /// # Errors
    /// [`QueryError::Unknown`] if no key matches.
    pub fn some(
        &self,
        names: &[KeyName],
        address: impl Fn(usize) -> Option<Svma>,
    ) -> Result<Vec<usize>, QueryError> {
        let found = self.find(names, address);
        if found.is_empty() {
            let (text, nearest) = (self.text.clone(), self.nearest(names));
            return Err(QueryError::Unknown { text, nearest });
        }
        Ok(found)
    }

    /// The only key that matches.
    ///
    /// # Errors
    /// If no key or several keys match.
    pub fn one(
        &self,
        names: &[KeyName],
        address: impl Fn(usize) -> Option<Svma>,
    ) -> Result<usize, QueryError> {
        match self.some(names, address)?[..] {
            [at] => Ok(at),
            ref several => Err(QueryError::Ambiguous {
                text: self.text.clone(),
                candidates: several.iter().map(|at| names[*at].full().to_owned()).collect(),
            }),
        }
    }

    /// Whether the query is the key's name, with or without a file.
    fn names(&self, name: &KeyName) -> bool {
        if [name.full(), name.unqualified(), name.by_symbol()].contains(&self.text.as_str()) {
            return true;
        }
        let (file, rest) = self.split_file();
        let by_offset = || {
            let (symbol, offset) = rest.rsplit_once("+0x")?;
            Some(is_object(name, symbol) && parse_hex(offset)? == name.offset())
        };
        file.is_none_or(|file| is_file(name, file))
            && (rest == name.unqualified() || by_offset() == Some(true))
    }

    /// Whether the query names the object that holds the key.
    fn names_object(&self, name: &KeyName) -> bool {
        let (file, rest) = self.split_file();
        file.is_none_or(|file| is_file(name, file)) && is_object(name, rest)
    }

    /// Whether the query is the end of the key's path.
    fn ends_path(&self, name: &KeyName) -> bool {
        let (file, rest) = self.split_file();
        let ends =
            |whole: &str| whole.strip_suffix(rest).is_some_and(|before| before.ends_with("::"));
        !rest.is_empty()
            && name.path().is_some_and(|path| ends(path) || ends(name.unqualified()))
            && file.is_none_or(|file| is_file(name, file))
    }

    /// Splits `file:rest`.  Symbols contain no colon, and paths contain only double ones.
    fn split_file(&self) -> (Option<&str>, &str) {
        let is_single = |at: &usize| {
            let is_colon =
                |at: Option<usize>| at.and_then(|at| self.text.as_bytes().get(at)) == Some(&b':');
            !is_colon(at.checked_sub(1)) && !is_colon(at.checked_add(1))
        };
        let mut colons = self.text.match_indices(':').map(|(at, _)| at);
        match colons.rfind(is_single) {
            Some(at) if at > 0 => (Some(&self.text[..at]), &self.text[at + 1..]),
            _ => (None, &self.text),
        }
    }

    fn nearest(&self, names: &[KeyName]) -> Vec<String> {
        let wanted = self.split_file().1;
        let mut near: Vec<(f64, &KeyName)> = names
            .iter()
            .map(|name| {
                let of = |text| strsim::normalized_damerau_levenshtein(wanted, text);
                let path = name.path().unwrap_or_default();
                let last = path.rsplit("::").next().unwrap_or_default();
                let all = [name.unqualified(), name.symbol().unwrap_or_default(), last];
                (all.into_iter().map(of).fold(0.0, f64::max), name)
            })
            .filter(|(similarity, _)| *similarity >= SIMILAR)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.full().cmp(b.1.full())));
        near.truncate(SUGGESTIONS);
        near.into_iter().map(|(_, name)| name.full().to_owned()).collect()
    }
}

fn matches_pattern(pattern: &Pattern, name: &KeyName) -> bool {
    pattern.matches(name.full())
        || pattern.matches(name.unqualified())
        || name.symbol().is_some_and(|symbol| pattern.matches(symbol))
}

/// Whether `object` is the symbol, or its path, of the object that is or holds the key.
fn is_object(name: &KeyName, object: &str) -> bool {
    [name.symbol(), name.path()].contains(&Some(object))
}

/// Whether `file` is the key's file, or the end of its path.
fn is_file(name: &KeyName, file: &str) -> bool {
    let is_end_of = |path: &str, end: &str| {
        path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    // Either path may be the more complete one.
    name.file().is_some_and(|known| is_end_of(known, file) || is_end_of(file, known))
}

fn parse_hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<KeyName> {
        [
            ("plain", 0, "", None),
            ("__tracepoint_kmalloc", 8, ".key", None),
            ("__tracepoint_kfree", 8, "+0x8", None),
            ("cpu_hwcap_keys", 80, "[5]", None),
            ("cpu_hwcap_keys", 96, "[6]", None),
            ("___once_key.0", 0, "", Some("net/core/dev.c")),
            ("___once_key.0", 0, "", Some("dev.c")),
            ("_ZN6server5admin5TRACE17h0123456789abcdefE", 0, "", None),
            ("_RNvNtCsabc123_6server5inner4KEYS", 16, "[1]", Some("lib.rs")),
            ("_ZL9trace_key", 0, "", None),
        ]
        .into_iter()
        .map(|(symbol, offset, rest, file)| KeyName::new(symbol, offset, rest, file))
        .collect()
    }

    fn find(text: &str) -> Vec<usize> {
        KeyQuery::parse(text).unwrap().find(&names(), |at| Some(Svma(0x1000 + 16 * at as u64)))
    }

    #[test]
    fn every_form_of_the_grammar() {
        for (text, found) in [
            ("plain", &[0][..]),
            ("plain+0x0", &[0]),
            ("__tracepoint_kmalloc", &[1]),
            ("__tracepoint_kmalloc.key", &[1]),
            ("__tracepoint_kmalloc+0x8", &[1]),
            ("__tracepoint_kfree+0x8", &[2]),
            ("__tracepoint_kfree+0x10", &[]),
            ("cpu_hwcap_keys", &[3, 4]),
            ("cpu_hwcap_keys[5]", &[3]),
            ("cpu_hwcap_keys[7]", &[]),
            ("cpu_hwcap_keys[?]", &[]),
            ("cpu_hwcap_keys*", &[3, 4]),
            ("/keys.5/", &[3]),
            ("__tracepoint_*", &[1, 2]),
            ("{plain,__tracepoint_k*}", &[0, 1, 2]),
            ("___once_key.0", &[5, 6]),
            ("net/core/dev.c:___once_key.0", &[5, 6]),
            ("core/dev.c:___once_key.0", &[5, 6]),
            ("ipv4/dev.c:___once_key.0", &[6]),
            ("other.c:plain", &[]),
            ("0x1030", &[3]),
            ("server::admin::TRACE", &[7]),
            ("admin::TRACE", &[7]),
            ("TRACE", &[7]),
            ("RACE", &[]),
            ("server::admin", &[]),
            ("_ZN6server5admin5TRACE17h0123456789abcdefE", &[7]),
            ("server::*", &[7, 8]),
            ("*TRACE17h*", &[7]),
            ("server::inner::KEYS[1]", &[8]),
            ("server::inner::KEYS+0x10", &[8]),
            ("_RNvNtCsabc123_6server5inner4KEYS[1]", &[8]),
            ("server::inner::KEYS", &[8]),
            ("KEYS", &[8]),
            ("KEYS[1]", &[8]),
            ("lib.rs:KEYS", &[8]),
            ("src/lib.rs:server::inner::KEYS[1]", &[8]),
            ("main.rs:KEYS", &[]),
            ("trace_key", &[9]),
            ("::trace_key", &[]),
            ("", &[]),
            ("0x9", &[]),
        ] {
            assert_eq!(find(text), found, "{text}");
        }
    }

    #[test]
    fn queries_without_a_unique_key_are_refused_with_suggestions() {
        let one = |text: &str| KeyQuery::parse(text).unwrap().one(&names(), |_| None);
        assert_eq!(one("plain"), Ok(0));
        let Err(QueryError::Ambiguous { candidates, .. }) = one("cpu_hwcap_keys") else { panic!() };
        assert_eq!(candidates, ["cpu_hwcap_keys[5]", "cpu_hwcap_keys[6]"]);
        let Err(QueryError::Unknown { nearest, .. }) = one("__tracepoint_kmaloc.key") else {
            panic!()
        };
        assert_eq!(nearest[0], "__tracepoint_kmalloc.key");
        assert_eq!(
            one("nothing_like_it").unwrap_err().to_string(),
            "nothing_like_it: no key has this name"
        );
        assert!(KeyQuery::parse("/(/").is_err() && KeyQuery::parse("a{b").is_err());
    }
}
