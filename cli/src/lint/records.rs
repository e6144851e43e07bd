//! The records of `jlctl.lint/1`, from which all formats are made.
//!
//! The records own their strings: the file of a finding is closed before the next file is read.

use crate::schema::FrameRecord;
use jlctl_analyzer::lint::{ARCHITECTURE, Affected, Evidence, Level, Role};
use serde::{Serialize, Serializer};

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "jlctl.lint/1";

/// The input of every report.
#[derive(Debug)]
pub(crate) struct LintDocument {
    /// The files, in the order in which they were named.
    pub(crate) files: Vec<LintedFile>,
    /// The findings, by file, the most severe first.
    pub(crate) findings: Vec<FindingRecord>,
    /// The lowest level that fails the run.
    pub(crate) fail_on: Level,
    /// The baseline, if one is given.
    pub(crate) baseline: Option<BaselineRecord>,
    /// Suppressions that match no finding.
    pub(crate) unused_suppressions: Vec<SuppressionRecord>,
    /// The other build, if one is given.
    pub(crate) against: Option<AgainstRecord>,
    /// Number of files in directories that are not images.
    pub(crate) passed: usize,
}

impl LintDocument {
    /// Findings that fail the run.
    pub(crate) fn failing(&self) -> usize {
        self.findings.iter().filter(|finding| finding.fails(self.fail_on)).count()
    }

    /// Files that could not be read, of either build.
    pub(crate) fn unread(&self) -> usize {
        let others = self.against.iter().flat_map(|against| &against.files);
        self.files.iter().chain(others).filter(|file| file.error.is_some()).count()
    }
}

/// A file that was named.
#[derive(Debug, Serialize)]
pub(crate) struct LintedFile {
    pub(crate) path: String,
    /// Why the file could not be read.
    pub(crate) error: Option<String>,
    pub(crate) arch: Option<&'static str>,
    pub(crate) build_id: Option<String>,
    /// Whether the file patches code; null if it was not analysed.
    pub(crate) applicable: Option<bool>,
    pub(crate) functions: Option<usize>,
    pub(crate) instructions: Option<usize>,
    pub(crate) patchers: Option<usize>,
    pub(crate) syncs: Option<usize>,
    /// The code that could not be analysed.
    pub(crate) coverage: Option<CoverageRecord>,
    pub(crate) model_warnings: Vec<String>,
    /// Other parts that could not be read: debug information, a damaged table.
    pub(crate) warnings: Vec<String>,
}

impl LintedFile {
    /// A file that could not be read.
    pub(crate) fn failed(path: String, error: String) -> Self {
        Self {
            path,
            error: Some(error),
            arch: None,
            build_id: None,
            applicable: None,
            functions: None,
            instructions: None,
            patchers: None,
            syncs: None,
            coverage: None,
            model_warnings: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether rules exist for the instruction set of the file.
    pub(crate) fn has_known_arch(&self) -> bool {
        self.arch.is_none_or(|arch| arch == ARCHITECTURE)
    }
}

/// The code of a file that could not be analysed.
#[derive(Debug, Serialize)]
pub(crate) struct CoverageRecord {
    pub(crate) undecoded: usize,
    pub(crate) unresolved_calls: usize,
    pub(crate) resolved_jumps: usize,
    pub(crate) guessed_jumps: usize,
    pub(crate) unresolved_jumps: usize,
    pub(crate) caps: Vec<String>,
}

/// A finding.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FindingRecord {
    pub(crate) rule: &'static str,
    #[serde(serialize_with = "level_name")]
    pub(crate) level: Level,
    pub(crate) file: String,
    /// Index of the file.
    #[serde(skip)]
    pub(crate) file_index: usize,
    pub(crate) function: Option<String>,
    #[serde(serialize_with = "optional_address_text")]
    pub(crate) address: Option<FindingAddress>,
    pub(crate) source: Option<FrameRecord<'static>>,
    pub(crate) message: String,
    pub(crate) witness: Vec<StepRecord>,
    /// The weakest evidence of the witness.
    #[serde(serialize_with = "evidence_name")]
    pub(crate) confidence: Option<Evidence>,
    pub(crate) affected: AffectedRecord,
    /// Why upstream considers the code correct.
    pub(crate) tolerated: Option<String>,
    /// The evidence that decides the level.
    pub(crate) why: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) suppressed: Option<Suppressed>,
    /// Why the finding is suppressed.
    pub(crate) reason: Option<String>,
    /// Null if there is no baseline.
    pub(crate) baseline: Option<BaselineState>,
    /// Null if there is no other build.
    pub(crate) against: Option<Compared>,
}

impl FindingRecord {
    /// Whether the finding fails a run whose failing level is `level`.
    pub(crate) fn fails(&self, level: Level) -> bool {
        self.level >= level && self.suppressed.is_none() && self.against != Some(Compared::Both)
    }
}

/// One step of a witness.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepRecord {
    pub(crate) function: String,
    #[serde(serialize_with = "address_text")]
    pub(crate) address: FindingAddress,
    #[serde(serialize_with = "role_name")]
    pub(crate) role: Role,
    pub(crate) callee: Option<String>,
    #[serde(serialize_with = "evidence_name")]
    pub(crate) evidence: Option<Evidence>,
    pub(crate) source: Option<FrameRecord<'static>>,
}

/// An address in a file.
#[derive(Debug, Clone)]
pub(crate) struct FindingAddress {
    /// The address as text: `0x…`, or section and offset.
    pub(crate) text: String,
    /// The address, if the file states it.
    pub(crate) stated: Option<u64>,
    /// The section, and the offset in it.
    pub(crate) section: Option<(String, u64)>,
}

/// Functions that a finding reaches.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct AffectedRecord {
    pub(crate) functions: usize,
    pub(crate) exported: usize,
    pub(crate) system_calls: usize,
    pub(crate) best_known: Vec<String>,
}

impl From<Affected> for AffectedRecord {
    fn from(affected: Affected) -> Self {
        let Affected { functions, exported, system_calls, best_known } = affected;
        Self { functions, exported, system_calls, best_known }
    }
}

/// The reason for which a finding does not fail the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Suppressed {
    /// The baseline has it.
    Baseline,
    /// The configuration suppresses it, with a reason.
    Config,
}

/// The state of a finding relative to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BaselineState {
    New,
    Unchanged,
}

/// The state of a finding relative to another build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compared {
    /// The other build does not have the finding: a sync was lost.
    Lost,
    /// Only the other build has the finding: a sync was gained.
    Gained,
    /// Both builds have the finding.
    Both,
}

/// The baseline of a run.
#[derive(Debug, Serialize)]
pub(crate) struct BaselineRecord {
    pub(crate) path: String,
    /// Entries that no finding matches any more.
    pub(crate) absent: Vec<Known>,
}

/// An entry of a baseline. Only the fingerprint identifies the finding; the other fields are for
/// people, and distinguish findings with the same fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    pub(crate) file: String,
    pub(crate) rule: String,
    pub(crate) level: String,
    pub(crate) function: Option<String>,
    pub(crate) fingerprint: String,
}

/// A suppression of the configuration.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SuppressionRecord {
    pub(crate) rule: Option<String>,
    /// The pattern, as written.
    pub(crate) text: String,
    pub(crate) reason: String,
}

/// The other build.
#[derive(Debug, Serialize)]
pub(crate) struct AgainstRecord {
    pub(crate) files: Vec<LintedFile>,
    /// Findings that only the other build has.
    pub(crate) gained: Vec<FindingRecord>,
}

pub(super) fn level_name<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.name())
}

fn role_name<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.name())
}

fn evidence_name<S: Serializer>(
    evidence: &Option<Evidence>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    evidence.map(Evidence::name).serialize(serializer)
}

fn address_text<S: Serializer>(address: &FindingAddress, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&address.text)
}

fn optional_address_text<S: Serializer>(
    address: &Option<FindingAddress>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    address.as_ref().map(|address| &address.text).serialize(serializer)
}
