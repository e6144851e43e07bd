//! Patterns over names: a glob, or a regular expression between slashes.

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// A compiled pattern.
#[derive(Debug)]
pub enum Pattern {
    /// The whole name must match.
    Glob(GlobMatcher),
    /// Any part of the name may match.
    Regex(Regex),
}

/// A pattern that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}: expected a glob or /REGEX/: {error}")]
pub struct PatternError {
    /// The pattern.
    pub text: String,
    /// What is wrong with it.
    pub error: String,
}

impl Pattern {
    /// Compiles a pattern; a name without special characters matches itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let wrong = |error: String| PatternError { text: text.to_owned(), error };
        if let Some(regex) = regex_of(text) {
            return Regex::new(regex).map(Self::Regex).map_err(|error| wrong(error.to_string()));
        }
        GlobBuilder::new(text)
            .build()
            .map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| wrong(error.kind().to_string()))
    }

    /// Whether `text` is more than a plain name.
    #[must_use]
    pub fn is_pattern(text: &str) -> bool {
        regex_of(text).is_some() || text.contains(['*', '?', '[', '{', '\\'])
    }

    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.is_match(name),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

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
        let regex = Pattern::parse("/sched_(switch|waking)/").unwrap();
        assert!(regex.matches("__tracepoint_sched_waking+0x8") && !regex.matches("sched_wakeup"));
        assert!(Pattern::parse("/").unwrap().matches("/"));
        assert!(Pattern::is_pattern("a[5]") && !Pattern::is_pattern("a.key"));
    }

    #[test]
    fn bad_patterns_are_errors_that_show_them() {
        for bad in ["/(/", "[", "a{b"] {
            let error = Pattern::parse(bad).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
