//! The command line of `jlctl lint`.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use jlctl_analyzer::lint::Level;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Find code that patches code and never tells the other CPUs.
///
/// Reads finished binaries for arm64: kernels, modules, programs and libraries. Does every
/// path that patches instructions reach a cross-CPU synchronisation before it returns to
/// someone who relies on it? A finding names the function to be mended and shows the way
/// from an entry point to the patch and out again. Each file has a line that says what was
/// looked at and what could not be; a file that patches no code is not applicable, which is
/// not the same as sound. A finding fails the run if it is at or above --fail-on, and
/// neither in the baseline nor suppressed by the configuration.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Kernels, modules, programs or libraries; directories are searched for them
    ///
    /// Modules are looked at with the kernel among the files that they are built for: what
    /// they call is in it. Files in directories that are no images are passed over. A file that cannot
    /// be read fails the run, though the others are reported. May be left out where
    /// JLCTL_IMAGE names an image or ./vmlinux exists.
    #[arg(env = "JLCTL_IMAGE", hide_env_values = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LintFormat,

    /// The least level of findings that fails the run: note, warning or error
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub(crate) fail_on: FailOn,

    /// Models of functions, and findings that are not to count, each with its reason (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Findings that are known and fail no run, made by --write-baseline
    ///
    /// They are marked and stay in the report; those that are no longer found are listed.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write all findings that are not suppressed as a baseline
    ///
    /// The run then fails for none of them.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_baseline: Option<PathBuf>,

    /// Only findings of these rules (may be repeated, or a list with commas): JL001, …
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub(crate) rules: Vec<String>,

    /// Compare with another build: which syncs did FILE… lose or gain since?
    ///
    /// Findings are matched by their fingerprints, which have no addresses in them. Only
    /// what the other build, a file or a directory, does not have fails the run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline", "write_baseline"])]
    pub(crate) against: Option<PathBuf>,

    /// Print what a rule finds and how, what it gets wrong, and what mends the finding
    #[arg(long, value_name = "RULE", exclusive = true)]
    pub(crate) explain: Option<String>,

    /// Do not look for source lines; no debug information is read
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Files that are read at once, at most; as many as there are processors by default
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,
}

/// Format of a lint's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.lint/1
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// A level, by the name that reports have.
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
