//! The command line of `jlctl link`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Add the runtime that flips keys to a finished program, or remove it.
///
/// The program is an executable or a shared object for aarch64 or x86_64 that has a jump
/// table in the kernel's layout and no runtime: one built with -DJLSHIM_LATER, or with sites
/// of its own. jlctl writes a copy, which contains the names of the keys. A copy that the
/// dynamic linker loads depends on libjlshim.so.0, which registers its table before its first
/// constructor runs. A copy of a static program contains the runtime itself,
/// jlshim-embedded.so, which the kernel enters first. The runtime flips the keys listed in
/// JLSHIM_ENABLE and JLSHIM_DISABLE, writes the report that JLSHIM_REPORT names, then starts
/// the program. A linked shared object is never unloaded. The original file does not change.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The program or shared object
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,

    /// Remove the link: the result is, byte for byte, the file before it was linked, except
    /// for keys flipped in it since
    ///
    /// A linked file that was changed otherwise, for example stripped, becomes a file that
    /// does not need the runtime.
    #[arg(long, conflicts_with_all = ["shim", "runpath", "sync_icache"])]
    pub(crate) remove: bool,

    /// libjlshim.so.0, or jlshim-embedded.so for a static program, or the directory with
    /// that file; by default ../lib relative to the directory of jlctl
    #[arg(long, value_name = "PATH")]
    pub(crate) shim: Option<PathBuf>,

    /// The directory in which the dynamic linker searches for the library (DT_RUNPATH), for
    /// example $ORIGIN/../lib; by default the directory of --shim
    #[arg(long, value_name = "DIR")]
    pub(crate) runpath: Option<String>,

    /// Replace every other __clear_cache by the library's, which also synchronises the
    /// other CPUs
    #[arg(long)]
    pub(crate) sync_icache: bool,

    /// Write the copy to the disk before it gets its name
    #[arg(long)]
    pub(crate) sync: bool,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LinkFormat,
}

/// Format of the report of `jlctl link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinkFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.link/1
    Json,
}
