//! Roles of functions by name: the built-in models, the models of a configuration, and the
//! summary of a kernel.

use super::rule::Level;
use crate::pattern::{Pattern, PatternError};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The role of a function in patching code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionRole {
    /// Writes instructions. Neither maintains caches nor synchronises.
    Writes,
    /// Patches existing code and maintains caches. Does not synchronise the other CPUs.
    Patches,
    /// Patches existing code and synchronises before it returns.
    PatchesAndSyncs,
    /// Maintains instruction caches. Does not synchronise the other CPUs.
    Maintains,
    /// Makes all other CPUs synchronise and waits for them.
    Syncs,
    /// As [`Self::Syncs`], if the argument with this number is not zero.
    SyncsIfArgument(usize),
    /// As [`Self::Syncs`], if the callback executes an ISB on all CPUs.
    SyncsIfCallbackIsbs {
        /// The number of the argument that is the callback.
        callback: usize,
        /// The number of the argument that says which CPUs run the callback; a null pointer
        /// stands for one CPU. `None` if all CPUs run it.
        cpus: Option<usize>,
    },
    /// Called by readers of patched code before they execute it: a safepoint or code barrier with
    /// an ISB of its own.
    ConsumerSyncs,
    /// Does not return.
    NoReturn,
    /// Runs before the other CPUs are started, or on code that no CPU can reach.
    BootOnly,
    /// Need not synchronise, for a reason that upstream gives.
    Tolerated,
}

/// A model: the role of the functions with certain names.
#[derive(Debug)]
pub struct FunctionModel {
    /// Their role.
    pub role: FunctionRole,
    /// The reason why upstream considers that correct.
    pub reason: Option<String>,
    /// Their names, as written.
    pub names: Vec<String>,
    patterns: Vec<Pattern>,
}

impl FunctionModel {
    /// Whether the model covers a function with this name. A suffix that the compiler adds after
    /// a dot is ignored.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.split('.').next().unwrap_or(name);
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether no name has wildcards.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.names.iter().any(|name| Pattern::is_pattern(name))
    }
}

/// What the exported functions of a kernel do, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelSummary {
    /// Functions that may return with existing code patched and the other CPUs not synchronised,
    /// each with the function that patches.
    pub pending: BTreeMap<String, String>,
    /// Functions that patch existing code, exported or not. The value tells whether the missing
    /// synchronisation is a finding above the level note.
    pub patchers: BTreeMap<String, bool>,
    /// Functions that make the other CPUs synchronise on every path.
    pub syncs: BTreeSet<String>,
    /// Exported functions.
    pub functions: BTreeSet<String>,
    /// The CPU hotplug states whose callbacks run with interrupts off; empty if unknown.
    pub starting_states: Range<u64>,
}

/// Suppresses findings.
#[derive(Debug)]
pub struct Suppression {
    /// Code of the rule; `None` for every rule.
    pub rule: Option<String>,
    /// The function that is the root cause; `None` for every function.
    pub function: Option<Pattern>,
    /// Path of the file; `None` for every file.
    pub file: Option<Pattern>,
    /// The reason.
    pub reason: String,
    /// The suppression as written, for reports.
    pub text: String,
}

/// Models and suppressions of a user.
#[derive(Debug, Default)]
pub struct Config {
    /// The models. They precede the built-in ones.
    pub functions: Vec<FunctionModel>,
    /// The suppressions.
    pub suppressions: Vec<Suppression>,
}

/// The error in a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not TOML, or has unknown fields.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A pattern that cannot be compiled.
    #[error("{entry_name}: {error}")]
    Pattern {
        /// The entry.
        entry_name: String,
        /// The error in the pattern.
        error: PatternError,
    },
    /// A role with a missing or superfluous field.
    #[error("{entry_name}: {expected}")]
    Role {
        /// The entry.
        entry_name: String,
        /// The expected field.
        expected: &'static str,
    },
    /// A suppression without a reason.
    #[error("{entry_name}: expected a reason, found none: say why the finding is suppressed")]
    NoReason {
        /// The entry.
        entry_name: String,
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
    cpus: Option<usize>,
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
    /// The first error, with the entry that contains it.
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

/// Libraries whose generated code only one thread executes at a time, each identified by a function
/// that it exports, with the reason.
pub(super) const SERIALISED: [(&str, &str); 1] = [(
    "luaJIT_setmode",
    "LuaJIT: only one thread at a time runs a Lua state and the code compiled for it",
)];

/// The built-in models for kernels or for programs.
#[must_use]
pub(super) fn built_in(is_kernel: bool) -> Config {
    let text = match is_kernel {
        true => include_str!("model/arm64-kernel.toml"),
        false => include_str!("model/arm64-user.toml"),
    };
    // A test parses both texts.
    Config::parse(text).unwrap_or_default()
}

fn pattern(entry_name: &dyn Fn() -> String, text: &str) -> Result<Pattern, ConfigError> {
    Pattern::parse(text).map_err(|error| ConfigError::Pattern { entry_name: entry_name(), error })
}

fn model(at: usize, entry: FunctionEntry) -> Result<FunctionModel, ConfigError> {
    let entry_name = || format!("function {}", at + 1);
    let wrong = |expected| ConfigError::Role { entry_name: entry_name(), expected };
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
            let callback = argument().ok_or_else(|| wrong(needed))?;
            FunctionRole::SyncsIfCallbackIsbs { callback, cpus: entry.cpus.filter(|n| *n < 8) }
        }
        RoleName::ConsumerSyncs => FunctionRole::ConsumerSyncs,
        RoleName::NoReturn => FunctionRole::NoReturn,
        RoleName::BootOnly => FunctionRole::BootOnly,
        RoleName::Tolerated => FunctionRole::Tolerated,
    };
    if matches!(role, FunctionRole::Tolerated) && entry.reason.is_none() {
        return Err(wrong("expected a reason with the role tolerated"));
    }
    let patterns = entry.names.iter().map(|name| pattern(&entry_name, name));
    let patterns = patterns.collect::<Result<_, _>>()?;
    Ok(FunctionModel { role, reason: entry.reason, names: entry.names, patterns })
}

fn suppression(at: usize, entry: SuppressEntry) -> Result<Suppression, ConfigError> {
    let entry_name = || format!("suppress {}", at + 1);
    let reason = entry.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.ok_or_else(|| ConfigError::NoReason { entry_name: entry_name() })?;
    let field =
        |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name} = {text:?}"));
    let text = [
        field("rule", &entry.rule),
        field("function", &entry.function),
        field("file", &entry.file),
    ];
    let text = text.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let compile = |text: Option<String>| text.map(|text| pattern(&entry_name, &text)).transpose();
    Ok(Suppression {
        rule: entry.rule,
        function: compile(entry.function)?,
        file: compile(entry.file)?,
        reason,
        text,
    })
}

/// The level of a finding whose code upstream may tolerate.
pub(super) const fn level_of(is_tolerated: bool, level: Level) -> Level {
    if is_tolerated { Level::Note } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_models_parse() {
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
    fn errors_name_the_entry() {
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
