//! The command line of `jlctl simulate`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
