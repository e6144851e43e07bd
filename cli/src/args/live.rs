//! The command lines of `jlctl ctl` and `jlctl audit`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// List and flip the static keys of a running process.
///
/// A program with the runtime shim that was started with JLSHIM_CONTROL=PATH flips its keys
/// itself, on request by its control socket, and no thread is stopped. Otherwise jlctl stops
/// all threads of the process, which takes less than a millisecond for a few threads. It
/// verifies every old byte, writes the sites first and the counts of the keys last; the stop
/// itself synchronises all CPUs. Either all writes happen or none. If jlctl is killed between
/// the writes, the sites written so far keep their new bytes and the counts still show the old
/// state; the same command completes the flip. If the program may flip the same keys at the
/// same time, use its control socket: from outside, jlctl cannot see a batch that the program
/// has queued but not yet written.
#[derive(Debug, Args)]
pub(crate) struct Ctl {
    /// Id of the process
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: i32,

    #[command(flatten)]
    pub(crate) reach: ReachOptions,

    /// The action
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// An action on the keys of a process.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List keys with their state; nothing is stopped
    List(ListedKeys),
    /// Switch keys on
    Enable(WantedKeys),
    /// Switch keys off
    Disable(WantedKeys),
}

/// Keys to list; all if none is named.
#[derive(Debug, Args)]
pub(crate) struct ListedKeys {
    /// Only these keys: names, 0xADDRESS, globs, or /REGEX/
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Keys to flip.
#[derive(Debug, Args)]
pub(crate) struct WantedKeys {
    /// Names, 0xADDRESS, globs, or /REGEX/; a name must match exactly one key
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of every action.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// A file that the process has mapped (may be repeated); by default all mapped files
    /// that have a jump table
    ///
    /// The file is matched by its build id, so that its path does not matter. By default,
    /// mapped files that cannot be read (for example a library that was replaced since, which
    /// only root can open) are skipped with a warning.
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
pub(crate) struct ReachOptions {
    /// Control socket of the process; by default the path in its JLSHIM_CONTROL
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// Stop the process by ptrace even if it has a control socket
    #[arg(long, conflicts_with = "socket")]
    pub(crate) ptrace: bool,
}

/// Compare the code of a running process with its keys.
///
/// Every site must hold the instruction that the current count of its key requires: a jump
/// exactly if the key is on and the site unlikely, or off and likely. Sites that do not are
/// listed, and the exit status is 1. No thread is stopped; jlctl reads a site that differs
/// again, so that a flip in progress is not reported.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Id of the process
    #[arg(long, required = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Option<i32>,

    /// Files that the process has mapped; by default all that have a jump table
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
    /// One JSON object, schema jlctl.ctl/1 (ctl) or jlctl.audit/1 (audit)
    Json,
}
