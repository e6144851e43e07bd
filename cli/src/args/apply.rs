//! The command line of `jlctl apply`.

use super::live::Way;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Apply a patch plan to a file or a running process, or take it back.
///
/// Before anything is written the image must be the one that the plan was made for
/// (size, sum and every old byte), and the plan must pass the check of jlctl
/// plan --check. With -o OUT the image is copied and the changed bytes are written
/// into the copy, which appears under its name when it is complete, with the image's
/// permissions, the owner that runs this and the present time. With --in-place the old bytes go into a journal
/// beside the image first (IMAGE.jlctl-journal), so that after a crash or a full disk
/// jlctl apply --recover IMAGE brings the old image back. The build id stays, though
/// the file is no longer what was built.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["output", "in_place", "dry_run", "recover", "pid"])))]
pub(crate) struct Apply {
    /// The plan, made by jlctl plan -o PLAN; `-` is standard input
    #[arg(required_unless_present = "recover")]
    pub(crate) plan: Option<PathBuf>,

    /// Its images; where the plan was made, if none is named
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Change the image itself
    #[arg(long)]
    pub(crate) in_place: bool,

    /// Verify everything, write nothing, report what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Change the process with this id, by its control socket, or with all threads stopped
    #[arg(long, conflicts_with_all = ["sha256", "sites_only", "signature"], value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Option<i32>,

    #[command(flatten)]
    pub(crate) way: Way,

    /// Bring back an image whose change in place was interrupted
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["plan", "images", "reverse", "sites_only", "signature", "sha256"])]
    pub(crate) recover: Option<PathBuf>,

    /// Wait until the copy is on the disk before it gets its name
    ///
    /// Without it a power failure can leave a copy without its bytes, as after cp; the
    /// image itself is never at risk. A change in place is always waited for.
    #[arg(long, requires = "output")]
    pub(crate) sync: bool,

    /// Verify the image by its SHA-256
    ///
    /// Without it the sum is XXH3, which is many times as fast and tells the image from
    /// any other that is not made to be taken for it.
    #[arg(long)]
    pub(crate) sha256: bool,

    /// Take the plan back: the result is the image that it was made for, to the byte
    #[arg(long)]
    pub(crate) reverse: bool,

    /// Patch the sites of keys that have no bytes in the file too
    ///
    /// Such a key is 0 when the image starts: its code then says one thing and its
    /// counter the other.
    #[arg(long)]
    pub(crate) sites_only: bool,

    /// Cut a module's signature off; a kernel that demands one will not load it
    #[arg(long, group = "signature")]
    pub(crate) drop_signature: bool,

    /// Leave a module's signature, which no longer fits
    #[arg(long, group = "signature")]
    pub(crate) keep_broken_signature: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ApplyFormat,
}

/// Format of a report of what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApplyFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.apply/1
    Json,
}
