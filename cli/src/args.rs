//! The command line as the user wrote it; commands make their own validated
//! configuration of it.

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jlctl_analyzer::jump_table::KeyKind;
use std::path::PathBuf;

/// Inspect, plan, simulate and lint code that is patched while it runs.
///
/// jlctl reads the jump table of static keys in kernels and user programs for
/// arm64, x86_64 and riscv64: every site, the key behind it, the instruction
/// that stands there, and whatever is wrong with any of it.
#[derive(Debug, Parser)]
#[command(name = "jlctl", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Write the result to FILE instead of standard output; FILE is replaced
    /// only once the result is complete
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// When to colour text
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say on standard error what is done and how long each phase took
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// When to colour text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(Inspect),
    Diff(Diff),
    Completions(Completions),
    Man(Man),
}

/// Read a jump table: its entries, keys and sites, and what is wrong with them.
///
/// Without --keys or --sites the text report is a summary: the image, the table,
/// how many sites hold which instruction, the keys with most sites, and all
/// diagnostics. JSON and JSON Lines carry keys and sites alike unless one of the
/// two options asks for its list alone.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Image: vmlinux or vmlinuz, a module, or a program or library with a jump table
    ///
    /// Several, or a directory, are read as a set: a kernel and its modules.
    /// Keys that a module uses are then looked for in the others, and each key
    /// is reported once with all its sites. Files compressed with gzip, xz, lzma
    /// or zstd are unpacked, EFI zboot images and bzImages too; kernels may be
    /// stripped, or raw Images of arm64 and riscv64. May be left out where
    /// JLCTL_IMAGE names an image or ./vmlinux exists.
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
    /// SYMBOL.MEMBER or `SYMBOL[N]`, each with FILE: before it where only the keys
    /// of one source file are meant.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) key: Option<String>,

    /// Only keys of this kind, and their sites (may be repeated, or a list with
    /// commas): plain, tracepoint, dynamic-debug, …
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<Kind>,

    /// Only sites in functions whose name matches: a glob, or /REGEX/
    #[arg(long, value_name = "PATTERN")]
    pub(crate) function: Option<String>,

    /// Only sites in this section
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Option<String>,

    /// Do not look for source lines; no debug information is read
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

/// Kind of keys, by the name that reports have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind(pub(crate) KeyKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Kind; KeyKind::ALL.len()] = {
            let mut all = [Kind(KeyKind::Plain); KeyKind::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = Kind(KeyKind::ALL[at]);
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

/// Format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object, schema jlctl.inspect/1
    Json,
    /// One JSON object a line: image, keys, sites, diagnostics
    Jsonl,
    /// Comma-separated values: the sites, or with --keys the keys
    Csv,
}

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

/// Print a completion script.
///
/// Source it, or put it where the shell looks: for bash as
/// ~/.local/share/bash-completion/completions/jlctl.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell to complete for
    pub(crate) shell: clap_complete::Shell,
}

/// Write the manual pages into a directory.
///
/// One page for jlctl and one for each command; existing pages are replaced.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory to write into; it must exist
    pub(crate) dir: PathBuf,
}
