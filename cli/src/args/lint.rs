//! The command line of `jlctl lint`.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use jlctl_analyzer::lint::Level;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Find code that patches instructions without synchronising the other CPUs.
///
/// Reads finished binaries for arm64: kernels, modules, programs and libraries, and checks
/// that every path that patches instructions synchronises all CPUs before it returns to a
/// caller that relies on the new code. A finding names the function to fix and shows the
/// path from an entry point to the patch and back. The report has a line for each file with
/// the code that was analysed and the code that could not be. A file that patches no code is
/// "not applicable", which does not mean that it is correct. A finding fails the run if its
/// level is at or above --fail-on and neither the baseline nor the configuration suppresses
/// it.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Kernels, modules, programs or libraries; directories are searched for them
    ///
    /// Object files and archives are read too; each member of an archive is a file of its own.
    /// A module is analysed together with the kernel that it is built for, if that is among
    /// the files: the kernel contains the functions that the module calls. In directories,
    /// files that are not images are skipped. A file that cannot be read fails the run; the
    /// other files are still reported. FILE may be omitted if JLCTL_IMAGE names an image or
    /// ./vmlinux exists.
    #[arg(env = "JLCTL_IMAGE", hide_env_values = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LintFormat,

    /// The lowest level of findings that fails the run: note, warning or error
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub(crate) fail_on: FailOn,

    /// Models of functions, and suppressed findings, each with its reason (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Known findings, which do not fail the run; written by --write-baseline
    ///
    /// The report marks known findings, and lists those that are no longer found.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write all findings that are not suppressed as a baseline
    ///
    /// These findings do not fail this run.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_baseline: Option<PathBuf>,

    /// Only findings of these rules (may be repeated, or a list with commas): JL001, …
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub(crate) rules: Vec<String>,

    /// Compare with another build, a file or a directory: list the syncs that FILE… lost or
    /// gained
    ///
    /// Findings are matched by their fingerprints, which contain no addresses. Only a
    /// finding that the other build does not have fails the run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline", "write_baseline"])]
    pub(crate) against: Option<PathBuf>,

    /// Explain a rule: its algorithm, false positives and false negatives, and how to fix a
    /// finding
    #[arg(long, value_name = "RULE", exclusive = true)]
    pub(crate) explain: Option<String>,

    /// Do not read debug information; no source lines are shown
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Number of files to read at once, at most; by default the number of processors
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,
}

/// Format of the result of `jlctl lint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.lint/1
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// A level, by its name in reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailOn(pub(crate) Level);

impl ValueEnum for FailOn {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Level::Note), Self(Level::Warning), Self(Level::Error)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}
