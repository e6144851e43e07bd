//! The command line as the user wrote it; commands make their own validated
//! configuration of it.

pub(crate) mod link;
pub(crate) mod lint;
pub(crate) mod live;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jlctl_analyzer::jump_table::KeyKind;
use std::num::NonZeroUsize;
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
    Plan(Plan),
    Apply(Apply),
    Simulate(Simulate),
    Ctl(live::Ctl),
    Audit(live::Audit),
    Lint(lint::Lint),
    Link(link::Link),
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

/// Make a patch plan: which sites to patch, from what to what, in which batches.
///
/// The semantics are the kernel's: a site holds a branch exactly if its key's state
/// differs from its branch sense. The plan also has the keys' words to write, the
/// synchronisation that must end each batch, what each way to synchronise costs, and
/// what cannot be done, for which target and why. Text is for people; with -o FILE
/// the plan file itself is written (schema jlctl.plan/1), for jlctl apply and jlctl
/// simulate.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["flip", "enable", "disable", "check", "schema"])))]
pub(crate) struct Plan {
    /// Image: vmlinux or vmlinuz, a module, or a program or library with a jump table
    ///
    /// Several, or a directory, are planned for together: a key of the kernel has
    /// sites in modules too. May be left out where JLCTL_IMAGE names an image or
    /// ./vmlinux exists; with --check, where the plan says where its images are.
    #[arg(env = "JLCTL_IMAGE", hide_env_values = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// Give this key the other state than it has (may be repeated): a name,
    /// 0xADDRESS, a glob, or /REGEX/
    ///
    /// A name is SYMBOL, SYMBOL+0xN, SYMBOL.MEMBER or `SYMBOL[N]`, each with FILE:
    /// before it where only the keys of one source file are meant. It must name one
    /// key; a glob or a regular expression may fit several.
    #[arg(long, value_name = "KEY")]
    pub(crate) flip: Vec<String>,

    /// Switch this key on (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub(crate) enable: Vec<String>,

    /// Switch this key off (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub(crate) disable: Vec<String>,

    /// Most sites in a batch: a full queue is applied, and queueing goes on
    ///
    /// Without it as many as the architecture's kernel has room for: 256 on x86_64,
    /// any number on arm64 and riscv64.
    #[arg(long, value_name = "N")]
    pub(crate) queue: Option<NonZeroUsize>,

    /// CPUs that the cost is reckoned for
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) cpus: u32,

    /// Verify every claim of a plan that somebody made against its images
    ///
    /// `-` is standard input. Exits with 1 and a list if a claim does not hold.
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["flip", "enable", "disable", "queue", "schema"])]
    pub(crate) check: Option<PathBuf>,

    /// Print the JSON Schema of plan files
    #[arg(long, conflicts_with_all = ["flip", "enable", "disable"])]
    pub(crate) schema: bool,

    /// Do not look for source lines; no debug information is read
    #[arg(long)]
    pub(crate) no_source: bool,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result; text, or json where -o names a file
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<PlanFormat>,
}

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
    pub(crate) way: live::Way,

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

/// Format of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people
    Text,
    /// The plan file, schema jlctl.plan/1; of a check, schema jlctl.plan-check/1
    Json,
}

/// Find out what another CPU can still execute after a flip returned.
///
/// Explores every behaviour that the Arm architecture allows for a plan under a way to
/// synchronise: accesses out of order, instruction caches, prefetched instructions,
/// cache maintenance, interrupts. Either no CPU can execute an old instruction after
/// the call returned (safe), or the shortest execution in which one does is printed
/// step by step (stale). "Returned" is read in two ways: in real time, and causally,
/// for a CPU that has learnt it through memory. Only arm64 is modelled. The strategy is
/// the one that the kernel's code follows, as its symbols tell; without a kernel image
/// what ends the plan's batches. With --litmus, litmus tests are judged instead.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("subject").required(true).args(["plan", "litmus"])))]
pub(crate) struct Simulate {
    /// The plan, made by jlctl plan -o PLAN; `-` is standard input
    pub(crate) plan: Option<PathBuf>,

    /// Its images; where the plan was made, if none is named and they are there
    #[arg(value_name = "IMAGE", requires = "plan")]
    pub(crate) images: Vec<PathBuf>,

    /// Judge litmus tests of AArch64: whether an execution satisfies the condition
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["images", "strategy", "pes", "svg"])]
    pub(crate) litmus: Vec<PathBuf>,

    /// How to synchronise (may be repeated, or a list with commas): nosync, isb-self,
    /// stop-machine, ipi, kick, kick-before, kick-no-cse, membarrier-sync-core, signal;
    /// or all
    ///
    /// Each also with less cache maintenance, as kick+no-ic: +no-maintenance, +no-dc,
    /// +no-ic, +dmb-for-dsb, +no-dsb-after-ic.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) strategy: Vec<String>,

    /// What CTR_EL0.DIC and CTR_EL0.IDC are
    ///
    /// All three where it is not given; of a litmus test that says so itself
    /// (CacheType=), that one.
    #[arg(long, value_name = "TYPE")]
    pub(crate) cache: Option<Cache>,

    /// CPUs: one that patches, and others
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u8).range(2..=4))]
    pub(crate) pes: u8,

    /// Most states to visit for one question; what needs more is unknown, not safe
    #[arg(long, value_name = "N", default_value = "4000000", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) max_states: u64,

    /// Draw the first stale execution as a sequence diagram
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Directory with separate debug files (may be repeated)
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/debug")]
    pub(crate) debug_dir: Vec<PathBuf>,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: SimulateFormat,
}

/// What CPUs do by themselves to make written code visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cache {
    /// Nothing: clean and invalidate
    Dic0Idc0,
    /// Data caches are clean to the point of unification: invalidate
    Dic0Idc1,
    /// Instruction caches are coherent: synchronise alone
    Dic1Idc1,
    /// All three
    All,
}

/// Format of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulateFormat {
    /// For people; of litmus tests a line for each: name, cache type, verdict, states
    Text,
    /// One JSON object, schema jlctl.simulate/1
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
