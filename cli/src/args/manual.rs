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
/// Writes the pages of all sections (1, 3, 5 and 7): one for jlctl, one for each command, and
/// those on formats, names, terms and libraries. Replaces existing pages.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory to write into; it must exist
    pub(crate) dir: PathBuf,
}
