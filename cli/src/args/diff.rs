//! The command line of `jlctl diff`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Compare two jump tables: keys and sites that were added, removed or changed.
///
/// Compares two kernels, two modules or two builds of a program. Keys are matched by
/// name, without the numbers that compilers and macros generate (NAME.4,
/// __UNIQUE_ID_NAME12). Repeated names and elements of arrays are matched by the
/// functions of their sites; renamed keys by their address, in builds with the same
/// layout, or by their sites. Sites are matched by their function and their order in
/// it. The suffixes .cold, .part.N, .isra.N, .constprop.N, .llvm.N and the like are
/// ignored, and so is the prefix that an architecture gives to sys_NAME. The sites of a
/// key moved to another function if the two functions have similar names, or if the key
/// has as many sites as before and all of them left one function or arrived in one.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first image, usually the older
    pub(crate) a: PathBuf,

    /// The second image
    pub(crate) b: PathBuf,

    /// Only these keys of either image: a name, 0xADDRESS, a glob, or /REGEX/, as
    /// in jlctl inspect
    #[arg(long, value_name = "PATTERN")]
    pub(crate) key: Option<String>,

    /// Print only the images and the number of keys and sites that differ
    #[arg(long)]
    pub(crate) summary: bool,

    /// List every key and site in text, without families and limits
    #[arg(long, conflicts_with = "summary")]
    pub(crate) all: bool,

    /// Exit with status 1 if anything differs
    #[arg(long)]
    pub(crate) exit_code: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: DiffFormat,
}

/// Format of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.diff/1
    Json,
}
