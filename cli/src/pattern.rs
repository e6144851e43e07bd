//! Patterns over names: a glob, or a regular expression between slashes.

use crate::exit::{Kind, failure};
use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// The whole name must match.
    Glob(GlobMatcher),
    /// Any part of the name may match.
    Regex(Regex),
}

impl Pattern {
    /// Compiles the argument of `option`.
    ///
    /// # Errors
    /// A usage error that says what is wrong with the pattern.
    pub(crate) fn parse(option: &str, text: &str) -> anyhow::Result<Self> {
        let wrong = |error: String| {
            failure(Kind::Usage, format!("{option} {text}: expected a glob or /REGEX/: {error}"))
        };
        if let Some(regex) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            return Regex::new(regex).map(Self::Regex).map_err(|error| wrong(error.to_string()));
        }
        GlobBuilder::new(text)
            .build()
            .map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| wrong(error.kind().to_string()))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.is_match(name),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names_and_regexes_parts() {
        let glob = Pattern::parse("--key", "__tracepoint_sched_*").unwrap();
        assert!(glob.matches("__tracepoint_sched_switch+0x8"));
        assert!(!glob.matches("my__tracepoint_sched_switch"));
        let regex = Pattern::parse("--key", "/sched_(switch|waking)/").unwrap();
        assert!(regex.matches("__tracepoint_sched_waking+0x8") && !regex.matches("sched_wakeup"));
        assert!(Pattern::parse("--key", "/").unwrap().matches("/"));
    }

    #[test]
    fn bad_patterns_are_usage_errors() {
        for bad in ["/(/", "[", "a{b"] {
            let error = Pattern::parse("--key", bad).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
