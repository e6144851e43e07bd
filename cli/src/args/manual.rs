//! The command lines of `jlctl completions` and `jlctl man`.

use clap::Args;
use std::path::PathBuf;

/// Print a completion script.
///
/// Source the script, or install it in the directory that the shell searches: for bash as
/// ~/.local/share/bash-completion/completions/jlctl.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell to complete for
    pub(crate) shell: clap_complete::Shell,
}

/// Write the manual pages into a directory.
///
/// Writes one page for jlctl and one for each command, and replaces existing pages.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory to write into; it must exist
    pub(crate) dir: PathBuf,
}
