//! The command lines of what looks at running processes.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// List and flip the static keys of a running process.
///
/// A program with the runtime shim that was started with JLSHIM_CONTROL=PATH is asked by its
/// control socket, and flips its keys itself: no thread is stopped. All threads of any other
/// are stopped for it, which takes less than a millisecond for some: every old byte is verified,
/// sites are written first and the counts of keys last, and the stop itself is the
/// synchronisation of all CPUs. Either all of it happens, or nothing. Should jlctl be killed in
/// between, sites that are written stay so, the counts say the old state, and the same command
/// again completes it. Where the program flips the same keys itself at that moment, use its
/// control socket: a batch that it has begun and not yet written cannot be seen from outside.
#[derive(Debug, Args)]
pub(crate) struct Ctl {
    /// Id of the process
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: i32,

    #[command(flatten)]
    pub(crate) way: Way,

    /// What to do
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What is done to the keys of a process.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List keys with their state; nothing is stopped
    List(Keys),
    /// Switch keys on
    Enable(WantedKeys),
    /// Switch keys off
    Disable(WantedKeys),
}

/// Keys that may be all.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// Only these: names, 0xADDRESS, globs, or /REGEX/
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Keys that must be named.
#[derive(Debug, Args)]
pub(crate) struct WantedKeys {
    /// Names, 0xADDRESS, globs, or /REGEX/; a name must fit one key
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// What all of them have.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// A file that the process has mapped (may be repeated); all that have a jump table if
    /// none is named
    ///
    /// It is known by its build id, wherever it lies. Without a name, files that cannot be
    /// read (libraries that were replaced since, but by root) are left out with a warning.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Vec<PathBuf>,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LiveFormat,
}

/// How a process is reached.
#[derive(Debug, Args)]
pub(crate) struct Way {
    /// Its control socket; the one of its JLSHIM_CONTROL, if left out
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Stop it by ptrace, though it may have a control socket
    #[arg(long, conflicts_with = "socket")]
    pub(crate) ptrace: bool,
}

/// Compare the code of a running process with its keys.
///
/// Every site must hold what the present count of its key demands: a jump exactly if the key is
/// on and the site unlikely, or off and likely. Exits with 1 and a list of those that do not.
/// Nothing is stopped: what differs is looked at again, so that a flip under way is none.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Id of the process
    #[arg(long, required = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Option<i32>,

    /// Files that the process has mapped; all that have a jump table if none is named
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LiveFormat,
}

/// Format of a report about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LiveFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.ctl/1 or jlctl.audit/1
    Json,
}
