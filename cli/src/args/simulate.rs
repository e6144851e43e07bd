//! The command line of `jlctl simulate`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Find the old instructions that another CPU can execute after a flip returned.
///
/// Explores every behaviour that the Arm architecture allows for a plan under a
/// synchronisation strategy: out-of-order accesses, instruction caches, prefetched
/// instructions, cache maintenance, interrupts. Either no CPU can execute an old
/// instruction after the call returned (safe), or the shortest execution in which a CPU
/// does is printed step by step (stale). "After the call returned" has two readings: in
/// real time, and causally, for a CPU that observed the return through memory. Only arm64
/// is modelled. The default strategy is the one that the kernel image implements, according
/// to its symbols; without a kernel image, it is the synchronisation that ends the batches
/// of the plan. With --litmus, litmus tests are judged instead.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("subject").required(true).args(["plan", "litmus"])))]
pub(crate) struct Simulate {
    /// The plan, made by jlctl plan -o PLAN; `-` is standard input
    pub(crate) plan: Option<PathBuf>,

    /// Images of the plan; by default the paths that the plan records, if they exist
    #[arg(value_name = "IMAGE", requires = "plan")]
    pub(crate) images: Vec<PathBuf>,

    /// Judge AArch64 litmus tests: whether an execution satisfies the condition
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["images", "strategy", "pes", "svg"])]
    pub(crate) litmus: Vec<PathBuf>,

    /// Strategies (may be repeated, or a list with commas): nosync, isb-self,
    /// stop-machine, ipi, kick, kick-before, kick-no-cse, membarrier-sync-core, signal;
    /// or all
    ///
    /// Each may be combined with less cache maintenance, as in kick+no-ic: +no-maintenance, +no-dc,
    /// +no-ic, +dmb-for-dsb, +no-dsb-after-ic.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) strategy: Vec<String>,

    /// Values of CTR_EL0.DIC and CTR_EL0.IDC
    ///
    /// The default is all three types, or the type that a litmus test states (CacheType=).
    #[arg(long, value_name = "TYPE")]
    pub(crate) cache: Option<Cache>,

    /// Number of CPUs, one of which patches
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u8).range(2..=4))]
    pub(crate) pes: u8,

    /// Maximum number of states per verdict; a verdict that needs more is unknown, not safe
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

/// The cache maintenance that CPUs require before written code is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cache {
    /// Clean data caches and invalidate instruction caches
    Dic0Idc0,
    /// Invalidate instruction caches; data caches need no clean to the point of unification
    Dic0Idc1,
    /// None: instruction caches are coherent
    Dic1Idc1,
    /// All three types
    All,
}

/// Format of the result of `jlctl simulate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulateFormat {
    /// For people; for litmus tests, one line each: name, cache type, verdict, states
    Text,
    /// One JSON object, schema jlctl.simulate/1
    Json,
}
