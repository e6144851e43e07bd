//! The command line of `jlctl diff`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Compare two jump tables: keys and sites that came, went or changed.
///
/// For two kernels, two modules or two builds of a program.  Keys are matched by
/// name, without the numbers that compilers and macros make up (NAME.4,
/// __UNIQUE_ID_NAME12); names that repeat and elements of arrays by the functions
/// of their sites; keys of other names by their address, in builds with the same
/// layout, or by their sites.  Sites are matched by function, without the suffixes
/// .cold, .part.N, .isra.N, .constprop.N, .llvm.N and the like and without what an
/// architecture puts before sys_NAME, and by their order in it.  Sites that a key
/// has in another function than before moved there if the functions have similar
/// names, or if the key has as many sites as before and all left or came to one.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first image, usually the older
    pub(crate) a: PathBuf,

    /// The second image
    pub(crate) b: PathBuf,

    /// Only these keys of either image: a name, 0xADDRESS, a glob, or /REGEX/, as
    /// for jlctl inspect
    #[arg(long, value_name = "PATTERN")]
    pub(crate) key: Option<String>,

    /// Only the images and how many keys and sites differ
    #[arg(long)]
    pub(crate) summary: bool,

    /// List everything in text: no families, no limits
    #[arg(long, conflicts_with = "summary")]
    pub(crate) all: bool,

    /// Exit with 1 if anything differs
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
