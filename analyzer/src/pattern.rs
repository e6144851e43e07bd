//! Patterns for names: a glob, or a regular expression between slashes.

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// A compiled pattern.
#[derive(Debug)]
pub enum Pattern {
    /// The whole name must match.
    Glob {
        /// The literal start of the pattern: comparing it is cheaper than matching the glob,
        /// and most names of a kernel already fail it.
        start: String,
        /// The complete glob.
        glob: GlobMatcher,
    },
    /// Any part of the name may match.
    Regex(Regex),
}

/// A pattern that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}: expected a glob or /REGEX/: {error}")]
pub struct PatternError {
    /// The pattern.
    pub text: String,
    /// The reason.
    pub error: String,
}

impl Pattern {
    /// Compiles a pattern; a name without special characters matches itself.
    ///
    /// # Errors
    /// If the pattern is not valid.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let wrong = |error: String| PatternError { text: text.to_owned(), error };
        if let Some(regex) = regex_of(text) {
            return Regex::new(regex).map(Self::Regex).map_err(|error| wrong(error.to_string()));
        }
        let glob =
            GlobBuilder::new(text).build().map_err(|error| wrong(error.kind().to_string()))?;
        let start = text.split(SPECIAL).next().unwrap_or_default().to_owned();
        Ok(Self::Glob { start, glob: glob.compile_matcher() })
    }

    /// Whether `text` is a pattern and not a plain name.
    #[must_use]
    pub fn is_pattern(text: &str) -> bool {
        regex_of(text).is_some() || text.contains(SPECIAL)
    }

    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Glob { start, glob } => name.starts_with(start) && glob.is_match(name),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

/// The characters that make a glob of a name.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

fn regex_of(text: &str) -> Option<&str> {
    text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names_and_regexes_parts() {
        let glob = Pattern::parse("__tracepoint_sched_*").unwrap();
        assert!(glob.matches("__tracepoint_sched_switch+0x8"));
        assert!(!glob.matches("my__tracepoint_sched_switch"));
        for (glob, name) in [("{a,b}c", "bc"), ("[ab]c", "ac"), ("a\\*", "a*"), ("*b", "ab")] {
            assert!(Pattern::parse(glob).unwrap().matches(name), "{glob}");
        }
        let regex = Pattern::parse("/sched_(switch|waking)/").unwrap();
        assert!(regex.matches("__tracepoint_sched_waking+0x8") && !regex.matches("sched_wakeup"));
        assert!(Pattern::parse("/").unwrap().matches("/"));
        assert!(Pattern::is_pattern("a[5]") && !Pattern::is_pattern("a.key"));
    }

    #[test]
    fn bad_patterns_are_reported() {
        for bad in ["/(/", "[", "a{b"] {
            let error = Pattern::parse(bad).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
