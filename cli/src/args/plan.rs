//! The command line of `jlctl plan`.

use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Make a patch plan: the sites to patch, their old and new bytes, and the batches.
///
/// The semantics are the kernel's: a site holds a branch exactly if the state of its key
/// differs from its branch sense. The plan also contains the words of the keys to write,
/// the synchronisation that must end each batch, the cost of each strategy, and every
/// refusal with its target and reason. Text is for people; -o FILE writes the plan file
/// (schema jlctl.plan/1), which jlctl apply and jlctl simulate read.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["flip", "enable", "disable", "check", "schema"])))]
pub(crate) struct Plan {
    /// Image: vmlinux or vmlinuz, a module, or a program or library with a jump table
    ///
    /// Several images, or a directory, get one plan: a key of the kernel has sites in
    /// modules too. IMAGE may be omitted if JLCTL_IMAGE names an image or ./vmlinux
    /// exists; with --check, the default is the paths that the plan records.
    #[arg(env = "JLCTL_IMAGE", hide_env_values = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Flip this key to its other state (may be repeated): a name, 0xADDRESS, a glob, or
    /// /REGEX/
    ///
    /// A name is SYMBOL, SYMBOL+0xN, SYMBOL.MEMBER or `SYMBOL[N]`. The prefix FILE: limits
    /// it to the keys of one source file. A name must match exactly one key; a glob or a
    /// regular expression may match several.
    #[arg(long, value_name = "KEY")]
    pub(crate) flip: Vec<String>,

    /// Switch this key on (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub(crate) enable: Vec<String>,

    /// Switch this key off (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub(crate) disable: Vec<String>,

    /// Maximum number of sites in a batch: a full queue is applied, then queueing continues
    ///
    /// The default is the size of the kernel's queue: 256 on x86_64, unlimited on arm64
    /// and riscv64.
    #[arg(long, value_name = "N")]
    pub(crate) queue: Option<NonZeroUsize>,

    /// Number of CPUs for which the cost is computed
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) cpus: u32,

    /// Verify every claim of a plan against its images
    ///
    /// `-` is standard input. If a claim does not hold, the claims that fail are listed and
    /// the exit status is 1.
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["flip", "enable", "disable", "queue", "schema"])]
    pub(crate) check: Option<PathBuf>,

    /// Print the JSON Schema of plan files
    #[arg(long, conflicts_with_all = ["flip", "enable", "disable"])]
    pub(crate) schema: bool,

    /// Do not read debug information; no source lines are shown
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result; by default text, or json if -o names a file
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<PlanFormat>,
}

/// Format of the result of `jlctl plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people
    Text,
    /// The plan file, schema jlctl.plan/1; with --check, schema jlctl.plan-check/1
    Json,
}
