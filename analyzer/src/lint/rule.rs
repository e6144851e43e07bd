//! The rules: what each finds, and how bad that is.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing: fresh code only, or tolerated upstream.
    Note,
    /// As [`Self::Error`], but on a path with an edge that was not resolved.
    Warning,
    /// Existing code is patched without synchronisation on a resolved path.
    Error,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Note, Self::Warning, Self::Error];

    /// Name in reports; the same in SARIF.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a rule is about; the text of `jlctl lint --explain`.
#[derive(Debug)]
pub struct RuleDescriptor {
    /// Stable code: `JL001`.
    pub code: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// The level of its findings where nothing lowers it.
    pub level: Level,
    /// What it finds, and why that is wrong.
    pub finds: &'static str,
    /// How it finds it.
    pub how: &'static str,
    /// What it reports wrongly.
    pub false_positives: &'static str,
    /// What it misses.
    pub false_negatives: &'static str,
    /// Cases in real software, by commit or issue.
    pub history: &'static str,
    /// What mends it.
    pub fix: &'static str,
}
