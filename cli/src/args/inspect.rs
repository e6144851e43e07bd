//! The command line of `jlctl inspect`.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use jlctl_analyzer::jump_table::KeyKind;
use std::path::PathBuf;

/// Read a jump table: its entries, keys and sites, and their defects.
///
/// Without --keys or --sites, the text report is a summary: the image, the table,
/// the number of sites with each instruction, the keys with most sites, and all
/// diagnostics. JSON and JSON Lines contain both keys and sites unless one of the two
/// options selects one list.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Image: vmlinux or vmlinuz, a module, or a program or library with a jump table
    ///
    /// Several images, or a directory, are read as a set: a kernel and its modules.
    /// A key that a module imports is resolved in the other files, and each key is
    /// reported once with all its sites. Files compressed with gzip, xz, lzma or
    /// zstd, EFI zboot images and bzImages are unpacked. A kernel may be stripped, or
    /// a raw Image of arm64 or riscv64. IMAGE may be omitted if JLCTL_IMAGE names an
    /// image or ./vmlinux exists.
    #[arg(env = "JLCTL_IMAGE", hide_env_values = true, value_name = "IMAGE")]
    pub(crate) image: Vec<PathBuf>,

    /// List the keys
    #[arg(long)]
    pub(crate) keys: bool,

    /// List the sites
    #[arg(long)]
    pub(crate) sites: bool,

    /// Only these keys, and their sites: a name, 0xADDRESS, a glob, or /REGEX/
    ///
    /// A name is SYMBOL (the key, or all keys inside that object), SYMBOL+0xN,
    /// SYMBOL.MEMBER or `SYMBOL[N]`. The prefix FILE: limits it to the keys of one
    /// source file.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) key: Option<String>,

    /// Only keys of this kind, and their sites (may be repeated, or a list with
    /// commas): plain, tracepoint, dynamic-debug, …
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<KindOption>,

    /// Only sites in functions whose symbol, or the path it is mangled from, matches: a
    /// glob, or /REGEX/
    #[arg(long, value_name = "PATTERN")]
    pub(crate) function: Option<String>,

    /// Only sites in this section
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Option<String>,

    /// Do not read debug information; no source lines are shown
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: InspectFormat,
}

/// Kind of keys, by its name in reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KindOption(pub(crate) KeyKind);

impl ValueEnum for KindOption {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [KindOption; KeyKind::ALL.len()] = {
            let mut all = [KindOption(KeyKind::Plain); KeyKind::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = KindOption(KeyKind::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}

/// Format of the result of `jlctl inspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people
    Text,
    /// One JSON object, schema jlctl.inspect/1
    Json,
    /// One JSON object per line: image, keys, sites, diagnostics
    Jsonl,
    /// Comma-separated values: the sites, or with --keys the keys
    Csv,
}
