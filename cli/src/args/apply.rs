//! The command line of `jlctl apply`.

use super::live::ReachOptions;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Apply a patch plan to a file or a running process, or revert it.
///
/// Before jlctl writes anything, it verifies that the image is the one that the plan was
/// made for (size, checksum and every old byte) and that the plan passes the check of
/// jlctl plan --check. With -o OUT, jlctl copies the image and writes the changed bytes
/// into the copy. The copy gets its name when it is complete; it has the image's
/// permissions, the owner who runs jlctl, and the current time. With --in-place, jlctl
/// first saves the old bytes in a journal beside the image (IMAGE.jlctl-journal). After a
/// crash or a full disk, jlctl apply --recover IMAGE restores the old image. The build id
/// does not change, although the file is no longer the one that was built.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["output", "in_place", "dry_run", "recover", "pid"])))]
pub(crate) struct Apply {
    /// The plan, made by jlctl plan -o PLAN; `-` is standard input
    #[arg(required_unless_present = "recover")]
    pub(crate) plan: Option<PathBuf>,

    /// Images of the plan; by default the paths that the plan records
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Change the image itself
    #[arg(long)]
    pub(crate) in_place: bool,

    /// Verify everything and report the writes, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Change the process with this id, by its control socket or with all its threads stopped
    #[arg(long, conflicts_with_all = ["sha256", "sites_only", "signature"], value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Option<i32>,

    #[command(flatten)]
    pub(crate) reach: ReachOptions,

    /// Restore an image whose change in place was interrupted
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["plan", "images", "reverse", "sites_only", "signature", "sha256"])]
    pub(crate) recover: Option<PathBuf>,

    /// Write the copy to the disk before it gets its name
    ///
    /// Without --sync, a power failure can leave a copy without its bytes, as after cp;
    /// the image itself is never at risk. A change in place is always synced.
    #[arg(long, requires = "output")]
    pub(crate) sync: bool,

    /// Verify the image by its SHA-256
    ///
    /// The default, XXH3, is many times as fast. It detects every accidental difference,
    /// but not an image that was made to have the same checksum.
    #[arg(long)]
    pub(crate) sha256: bool,

    /// Revert the plan: the result is, byte for byte, the image that it was made for
    #[arg(long)]
    pub(crate) reverse: bool,

    /// Also patch the sites of keys that have no bytes in the file
    ///
    /// Such a key is 0 when the image starts, so that its sites and its count then
    /// disagree.
    #[arg(long)]
    pub(crate) sites_only: bool,

    /// Remove a module's signature; a kernel that requires one will not load the module
    #[arg(long, group = "signature")]
    pub(crate) drop_signature: bool,

    /// Keep a module's signature, although it is no longer valid
    #[arg(long, group = "signature")]
    pub(crate) keep_broken_signature: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ApplyFormat,
}

/// Format of the report of `jlctl apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApplyFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.apply/1
    Json,
}
