//! What functions do, by name: the built-in models and those of a configuration.

use super::rule::Level;
use crate::pattern::{Pattern, PatternError};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a function does to code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionRole {
    /// Writes instructions and neither maintains caches nor synchronises.
    Writes,
    /// Changes existing code, maintains caches, and makes no other CPU synchronise.
    Patches,
    /// Changes existing code, and synchronises before it returns.
    PatchesAndSyncs,
    /// Maintains instruction caches, and makes no other CPU synchronise.
    Maintains,
    /// Makes all other CPUs synchronise, and waits for it.
    Syncs,
    /// The same if the argument of this number is not zero.
    SyncsIfArgument(usize),
    /// The same if the function in the argument of this number executes an ISB.
    SyncsIfCallbackIsbs(usize),
    /// Executed by those who read patched code, before they execute it: a safepoint or
    /// code barrier with an ISB of its own.
    ConsumerSyncs,
    /// Does not return.
    NoReturn,
    /// Runs before there are other CPUs, or on code that nothing can reach.
    BootOnly,
    /// Need not synchronise, as upstream argues.
    Tolerated,
}

/// What a model says of the functions of some names.
#[derive(Debug)]
pub struct FunctionModel {
    /// What they do.
    pub role: FunctionRole,
    /// Why upstream holds that to be right.
    pub reason: Option<String>,
    /// Their names, as written.
    pub names: Vec<String>,
    patterns: Vec<Pattern>,
}

impl FunctionModel {
    /// Whether it speaks of a function of this name; what a compiler adds behind a
    /// dot does not count.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.split('.').next().unwrap_or(name);
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether the names are plain ones, none with wildcards.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.names.iter().any(|name| Pattern::is_pattern(name))
    }
}

/// What the exported functions of a kernel do, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelSummary {
    /// Functions that may return with existing code patched and other CPUs not
    /// synchronised, with the function that patches.
    pub pending: BTreeMap<String, String>,
    /// Functions that patch existing code, exported or not, each with whether it is a
    /// finding above a note that nobody synchronises.
    pub patchers: BTreeMap<String, bool>,
    /// Functions that make other CPUs synchronise on every way through them.
    pub syncs: BTreeSet<String>,
}

/// Findings that are not to count.
#[derive(Debug)]
pub struct Suppression {
    /// Code of the rule; all if `None`.
    pub rule: Option<String>,
    /// The root function; all if `None`.
    pub function: Option<Pattern>,
    /// Path of the file; all if `None`.
    pub file: Option<Pattern>,
    /// Why.
    pub reason: String,
    /// The suppression as written, for reports.
    pub text: String,
}

/// What a user adds to the models, and findings that are not to count.
#[derive(Debug, Default)]
pub struct Config {
    /// Models, before the built-in ones.
    pub functions: Vec<FunctionModel>,
    /// Findings that are not to count.
    pub suppressions: Vec<Suppression>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No TOML, or fields that are not known.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A pattern that cannot be compiled.
    #[error("{place}: {error}")]
    Pattern {
        /// Where.
        place: String,
        /// What is wrong with it.
        error: PatternError,
    },
    /// A role that needs more, or less.
    #[error("{place}: {what}")]
    Role {
        /// Where.
        place: String,
        /// What was expected.
        what: &'static str,
    },
    /// A suppression without a reason.
    #[error("{place}: expected a reason, found none: say why the finding is not to count")]
    NoReason {
        /// Where.
        place: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    function: Vec<FunctionEntry>,
    #[serde(default)]
    suppress: Vec<SuppressEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionEntry {
    role: RoleName,
    names: Vec<String>,
    argument: Option<usize>,
    reason: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum RoleName {
    Writes,
    Patches,
    PatchesAndSyncs,
    Maintains,
    Syncs,
    SyncsIfArgument,
    SyncsIfCallbackIsbs,
    ConsumerSyncs,
    #[serde(rename = "noreturn")]
    NoReturn,
    BootOnly,
    Tolerated,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressEntry {
    rule: Option<String>,
    function: Option<String>,
    file: Option<String>,
    reason: Option<String>,
}

impl Config {
    /// Reads a configuration (TOML).
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: ConfigFile = toml::from_str(text)?;
        let functions = file.function.into_iter().enumerate().map(|(at, entry)| model(at, entry));
        let suppressions =
            file.suppress.into_iter().enumerate().map(|(at, entry)| suppression(at, entry));
        Ok(Self {
            functions: functions.collect::<Result<_, _>>()?,
            suppressions: suppressions.collect::<Result<_, _>>()?,
        })
    }
}

/// The built-in models for kernels or for programs.
#[must_use]
pub(super) fn built_in(is_kernel: bool) -> Config {
    let text = match is_kernel {
        true => include_str!("model/arm64-kernel.toml"),
        false => include_str!("model/arm64-user.toml"),
    };
    // A test reads both.
    Config::parse(text).unwrap_or_default()
}

fn pattern(place: &dyn Fn() -> String, text: &str) -> Result<Pattern, ConfigError> {
    Pattern::parse(text).map_err(|error| ConfigError::Pattern { place: place(), error })
}

fn model(at: usize, entry: FunctionEntry) -> Result<FunctionModel, ConfigError> {
    let place = || format!("function {}", at + 1);
    let wrong = |what| ConfigError::Role { place: place(), what };
    let argument = || entry.argument.filter(|argument| *argument < 8);
    let needed = "expected argument, the number of a parameter below 8";
    let role = match entry.role {
        RoleName::Writes => FunctionRole::Writes,
        RoleName::Patches => FunctionRole::Patches,
        RoleName::PatchesAndSyncs => FunctionRole::PatchesAndSyncs,
        RoleName::Maintains => FunctionRole::Maintains,
        RoleName::Syncs => FunctionRole::Syncs,
        RoleName::SyncsIfArgument => {
            FunctionRole::SyncsIfArgument(argument().ok_or_else(|| wrong(needed))?)
        }
        RoleName::SyncsIfCallbackIsbs => {
            FunctionRole::SyncsIfCallbackIsbs(argument().ok_or_else(|| wrong(needed))?)
        }
        RoleName::ConsumerSyncs => FunctionRole::ConsumerSyncs,
        RoleName::NoReturn => FunctionRole::NoReturn,
        RoleName::BootOnly => FunctionRole::BootOnly,
        RoleName::Tolerated => FunctionRole::Tolerated,
    };
    if matches!(role, FunctionRole::Tolerated) && entry.reason.is_none() {
        return Err(wrong("expected a reason with the role tolerated"));
    }
    let patterns = entry.names.iter().map(|name| pattern(&place, name));
    let patterns = patterns.collect::<Result<_, _>>()?;
    Ok(FunctionModel { role, reason: entry.reason, names: entry.names, patterns })
}

fn suppression(at: usize, entry: SuppressEntry) -> Result<Suppression, ConfigError> {
    let place = || format!("suppress {}", at + 1);
    let reason = entry.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.ok_or_else(|| ConfigError::NoReason { place: place() })?;
    let field =
        |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name} = {text:?}"));
    let text = [
        field("rule", &entry.rule),
        field("function", &entry.function),
        field("file", &entry.file),
    ];
    let text = text.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let compile = |text: Option<String>| text.map(|text| pattern(&place, &text)).transpose();
    Ok(Suppression {
        rule: entry.rule,
        function: compile(entry.function)?,
        file: compile(entry.file)?,
        reason,
        text,
    })
}

/// The level that a role leaves of a finding.
pub(super) const fn level_of(is_tolerated: bool, level: Level) -> Level {
    if is_tolerated { Level::Note } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_models_are_read() {
        for text in [include_str!("model/arm64-kernel.toml"), include_str!("model/arm64-user.toml")]
        {
            let config = Config::parse(text).unwrap();
            assert!(!config.functions.is_empty());
        }
        let kernel = built_in(true);
        let roles = |name: &str| -> Vec<FunctionRole> {
            let of_name = kernel.functions.iter().filter(|model| model.matches(name));
            of_name.map(|model| model.role).collect()
        };
        assert_eq!(roles("aarch64_insn_patch_text_nosync"), [FunctionRole::Patches]);
        assert_eq!(roles("smp_call_function_many_cond.isra.0"), [FunctionRole::SyncsIfArgument(3)]);
        assert_eq!(roles("machine_kexec_prepare"), [FunctionRole::Tolerated]);
        assert_eq!(roles("vfs_read"), []);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            (
                "[[function]]\nrole = \"syncs-if-argument\"\nnames = [\"a\"]",
                "function 1: expected argument",
            ),
            ("[[function]]\nrole = \"tolerated\"\nnames = [\"a\"]", "expected a reason"),
            ("[[function]]\nrole = \"sinks\"\nnames = [\"a\"]", "unknown variant `sinks`"),
            ("[[suppress]]\nrule = \"JL001\"", "suppress 1: expected a reason"),
            ("[[suppress]]\nfunction = \"/(/\"\nreason = \"x\"", "suppress 1: /(/"),
            ("[[supress]]", "unknown field `supress`"),
            ("what", "line 1"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{word:?} in {error}");
        }
    }
}
