//! The records of `jlctl.lint/1`, which all formats are made from.
//!
//! They own their strings: the file that a finding is about is let go before the next one
//! is read.

use crate::schema::FrameRecord;
use jlctl_analyzer::lint::{ARCHITECTURE, Affected, Evidence, Level, Role};
use serde::{Serialize, Serializer};

/// Name and version of the schema.
pub(super) const SCHEMA: &str = "jlctl.lint/1";

/// Everything that a report is made of.
#[derive(Debug)]
pub(crate) struct Document {
    /// The files, in the order in which they were named.
    pub(crate) files: Vec<FileRecord>,
    /// What was found in them, by file, the worst first.
    pub(crate) findings: Vec<FindingRecord>,
    /// The least level that fails.
    pub(crate) fail_on: Level,
    /// The baseline, if one is given.
    pub(crate) baseline: Option<BaselineRecord>,
    /// Suppressions that no finding fits.
    pub(crate) unused_suppressions: Vec<SuppressionRecord>,
    /// The other build, if one is given.
    pub(crate) against: Option<AgainstRecord>,
    /// Files in directories that are no images.
    pub(crate) passed: usize,
}

impl Document {
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
pub(crate) struct FileRecord {
    pub(crate) path: String,
    /// Why nothing could be read of it.
    pub(crate) error: Option<String>,
    pub(crate) arch: Option<&'static str>,
    pub(crate) build_id: Option<String>,
    /// Whether it patches code at all; null where that was not looked at.
    pub(crate) applicable: Option<bool>,
    pub(crate) functions: Option<usize>,
    pub(crate) instructions: Option<usize>,
    pub(crate) patchers: Option<usize>,
    pub(crate) syncs: Option<usize>,
    /// What of it could not be looked at.
    pub(crate) coverage: Option<CoverageRecord>,
    pub(crate) model_warnings: Vec<String>,
    /// What else could not be read: parts of the debug information, a damaged table.
    pub(crate) warnings: Vec<String>,
}

impl FileRecord {
    /// A file of which nothing could be read.
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

    /// Whether there are rules for its instruction set.
    pub(crate) fn has_known_arch(&self) -> bool {
        self.arch.is_none_or(|arch| arch == ARCHITECTURE)
    }
}

/// What of a file could not be looked at.
#[derive(Debug, Serialize)]
pub(crate) struct CoverageRecord {
    pub(crate) undecoded: usize,
    pub(crate) unresolved_calls: usize,
    pub(crate) resolved_jumps: usize,
    pub(crate) guessed_jumps: usize,
    pub(crate) unresolved_jumps: usize,
    pub(crate) caps: Vec<String>,
}

/// Something that was found.
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
    #[serde(serialize_with = "place_text")]
    pub(crate) address: Option<Place>,
    pub(crate) source: Option<FrameRecord<'static>>,
    pub(crate) message: String,
    pub(crate) witness: Vec<StepRecord>,
    /// The weakest evidence of the witness.
    #[serde(serialize_with = "evidence_name")]
    pub(crate) confidence: Option<Evidence>,
    pub(crate) affected: AffectedRecord,
    /// Why upstream holds it to be right.
    pub(crate) tolerated: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) suppressed: Option<Suppressed>,
    /// Why it is suppressed.
    pub(crate) reason: Option<String>,
    /// Null if there is no baseline.
    pub(crate) baseline: Option<BaselineState>,
    /// Null if there is no other build.
    pub(crate) against: Option<Compared>,
}

impl FindingRecord {
    /// Whether it fails a run that fails on findings of `level` and above.
    pub(crate) fn fails(&self, level: Level) -> bool {
        self.level >= level && self.suppressed.is_none() && self.against != Some(Compared::Both)
    }
}

/// One step of a witness.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepRecord {
    pub(crate) function: String,
    #[serde(serialize_with = "address_text")]
    pub(crate) address: Place,
    #[serde(serialize_with = "role_name")]
    pub(crate) role: Role,
    pub(crate) callee: Option<String>,
    #[serde(serialize_with = "evidence_name")]
    pub(crate) evidence: Option<Evidence>,
    pub(crate) source: Option<FrameRecord<'static>>,
}

/// An address in a file.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// As people know it: `0x…`, or section and offset.
    pub(crate) text: String,
    /// The address, where the file states it.
    pub(crate) stated: Option<u64>,
    /// The section, and how far in it.
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

/// By what a finding does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Suppressed {
    /// It is known.
    Baseline,
    /// Somebody wrote down why it is none.
    Config,
}

/// Where a finding stands to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BaselineState {
    New,
    Unchanged,
}

/// Where a finding stands to another build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compared {
    /// The other build has it not: a sync was lost.
    Lost,
    /// The other build has it alone: a sync was gained.
    Gained,
    /// Both have it.
    Both,
}

/// The baseline of a run.
#[derive(Debug, Serialize)]
pub(crate) struct BaselineRecord {
    pub(crate) path: String,
    /// Findings in it that are no longer found.
    pub(crate) absent: Vec<Known>,
}

/// A finding as a baseline has it.  Only the fingerprint decides; the rest is for people,
/// and tells findings of the same fingerprint apart.
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
    /// What it fits, as written.
    pub(crate) text: String,
    pub(crate) reason: String,
}

/// The other build.
#[derive(Debug, Serialize)]
pub(crate) struct AgainstRecord {
    pub(crate) files: Vec<FileRecord>,
    /// What only it has.
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

fn address_text<S: Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&place.text)
}

fn place_text<S: Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    place.as_ref().map(|place| &place.text).serialize(serializer)
}
