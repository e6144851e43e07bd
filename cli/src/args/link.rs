//! The command line of `jlctl link`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Give a finished program the runtime that flips its keys, or take it out again.
///
/// The program is an executable or a shared object for aarch64 or x86_64, with a jump table
/// in the kernel's layout and without a runtime: built with -DJLSHIM_LATER, or with sites of
/// its own. The copy has the names of its keys in it. Where the dynamic linker loads it, it
/// needs libjlshim.so.0, which registers its table before its first constructor runs. A static
/// program gets the runtime itself, jlshim-embedded.so, which the kernel enters first: it flips
/// the keys that JLSHIM_ENABLE and JLSHIM_DISABLE name, writes the report that JLSHIM_REPORT
/// wants, and goes on to the program. A shared object is never closed once it is linked. The
/// program itself stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The program or shared object
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,

    /// Take the link out: the file as it was before, to the byte, but for keys flipped in it
    /// since
    ///
    /// A file that was changed in other ways, stripped for example, becomes one that does
    /// without the runtime.
    #[arg(long, conflicts_with_all = ["shim", "runpath", "sync_icache"])]
    pub(crate) remove: bool,

    /// libjlshim.so.0, or jlshim-embedded.so for a static program, or the directory that has it; ../lib beside jlctl's own directory, if
    /// left out
    #[arg(long, value_name = "PATH")]
    pub(crate) shim: Option<PathBuf>,

    /// The directory where the program looks for the library, as DT_RUNPATH has it, for
    /// example $ORIGIN/../lib; where the library is now, if left out
    #[arg(long, value_name = "DIR")]
    pub(crate) runpath: Option<String>,

    /// Have the library's __clear_cache take the place of all others: it synchronises the
    /// other CPUs too
    #[arg(long)]
    pub(crate) sync_icache: bool,

    /// Wait until the copy is on the disk before it gets its name
    #[arg(long)]
    pub(crate) sync: bool,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LinkFormat,
}

/// Format of a report of what was linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinkFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.link/1
    Json,
}
