//! The command line of `jlctl plan`.

use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Make a patch plan: which sites to patch, from what to what, in which batches.
///
/// The semantics are the kernel's: a site holds a branch exactly if its key's state
/// differs from its branch sense. The plan also has the keys' words to write, the
/// synchronisation that must end each batch, what each way to synchronise costs, and
/// what cannot be done, for which target and why. Text is for people; with -o FILE
/// the plan file itself is written (schema jlctl.plan/1), for jlctl apply and jlctl
/// simulate.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["flip", "enable", "disable", "check", "schema"])))]
pub(crate) struct Plan {
    /// Image: vmlinux or vmlinuz, a module, or a program or library with a jump table
    ///
    /// Several, or a directory, are planned for together: a key of the kernel has
    /// sites in modules too. May be left out where JLCTL_IMAGE names an image or
    /// ./vmlinux exists; with --check, where the plan says where its images are.
    #[arg(env = "JLCTL_IMAGE", hide_env_values = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Give this key the other state than it has (may be repeated): a name,
    /// 0xADDRESS, a glob, or /REGEX/
    ///
    /// A name is SYMBOL, SYMBOL+0xN, SYMBOL.MEMBER or `SYMBOL[N]`, each with FILE:
    /// before it where only the keys of one source file are meant. It must name one
    /// key; a glob or a regular expression may fit several.
    #[arg(long, value_name = "KEY")]
    pub(crate) flip: Vec<String>,

    /// Switch this key on (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub(crate) enable: Vec<String>,

    /// Switch this key off (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub(crate) disable: Vec<String>,

    /// Most sites in a batch: a full queue is applied, and queueing goes on
    ///
    /// Without it as many as the architecture's kernel has room for: 256 on x86_64,
    /// any number on arm64 and riscv64.
    #[arg(long, value_name = "N")]
    pub(crate) queue: Option<NonZeroUsize>,

    /// CPUs that the cost is reckoned for
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) cpus: u32,

    /// Verify every claim of a plan that somebody made against its images
    ///
    /// `-` is standard input. Exits with 1 and a list if a claim does not hold.
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["flip", "enable", "disable", "queue", "schema"])]
    pub(crate) check: Option<PathBuf>,

    /// Print the JSON Schema of plan files
    #[arg(long, conflicts_with_all = ["flip", "enable", "disable"])]
    pub(crate) schema: bool,

    /// Do not look for source lines; no debug information is read
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result; text, or json where -o names a file
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<PlanFormat>,
}

/// Format of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people
    Text,
    /// The plan file, schema jlctl.plan/1; of a check, schema jlctl.plan-check/1
    Json,
}
