//! Rule descriptors. The pages of a rule are made from its descriptor.

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing: fresh code only, or tolerated upstream.
    Note,
    /// As [`Self::Error`], but something on the path is not proven.
    Warning,
    /// Existing code is patched without synchronisation on a resolved path.
    Error,
}

impl Level {
    /// All levels, the lowest first.
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

/// The one description of a rule.  The page of `jlctl lint --explain`, the rule's metadata in
/// SARIF and its section in jlctl-lint-rules(7) are made from it.
///
/// Texts are Markdown of the simplest kind: paragraphs, lists of `- ` items and code spans.  A
/// paragraph or item is one line; a blank line separates paragraphs and lists.
#[derive(Debug)]
pub struct RuleDescriptor {
    /// Stable code: `JL001`.
    pub code: &'static str,
    /// Name, in a few words.
    pub name: &'static str,
    /// Level of a finding, unless the rule lowers it.
    pub level: Level,
    /// First version of jlctl with the rule.
    pub since: &'static str,
    /// The defect in one sentence.
    pub summary: &'static str,
    /// Why the defect matters.
    pub description: &'static str,
    /// How the rule finds the defect.
    pub algorithm: &'static str,
    /// Findings that are not defects.
    pub false_positives: &'static str,
    /// Defects that the rule misses.
    pub false_negatives: &'static str,
    /// Cases in real software, by commit or issue.
    pub history: &'static str,
    /// How to repair the code, in one sentence or two.
    pub fix: &'static str,
}

impl RuleDescriptor {
    /// Headings and texts of the page, in order.
    #[must_use]
    pub const fn sections(&self) -> [(&'static str, &'static str); 5] {
        [
            ("Algorithm", self.algorithm),
            ("False positives", self.false_positives),
            ("False negatives", self.false_negatives),
            ("History", self.history),
            ("Fix", self.fix),
        ]
    }

    /// The page in Markdown.  The rule's heading has `depth` number signs, the headings of its
    /// sections one more.
    #[must_use]
    pub fn markdown(&self, depth: usize) -> String {
        let signs = "#".repeat(depth);
        let Self { code, name, since, summary, description, .. } = self;
        let level = self.level.name();
        let mut page = format!(
            "{signs} {code}: {name}\n\nLevel: {level}. Since jlctl {since}.\n\n{summary}\n\n\
             {description}\n"
        );
        for (heading, text) in self.sections() {
            page += &format!("\n{signs}# {heading}\n\n{text}\n");
        }
        page
    }

    /// The page as plain text.
    #[must_use]
    pub fn plain_text(&self) -> String {
        let Self { code, name, since, summary, description, .. } = self;
        let level = self.level.name();
        let mut page = format!(
            "{code}: {name}\n\nLevel: {level}. Since jlctl {since}.\n\n{summary}\n\n{description}\n"
        );
        for (heading, text) in self.sections() {
            page += &format!("\n{heading}\n\n{text}\n");
        }
        without_markup(&page)
    }
}

/// The text of a descriptor without its markup, which is that of code spans alone.
#[must_use]
pub fn without_markup(text: &str) -> String {
    text.replace('`', "")
}
