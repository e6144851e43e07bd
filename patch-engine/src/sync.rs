//! Methods that make other CPUs execute patched instructions.

use crate::target::World;

/// How other CPUs are synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SyncMethod {
    /// No synchronisation: arm64 up to the fix of July 2024 (Linux 6.11, 6.10.4).
    Nosync,
    /// All CPUs wait while one patches (`kernel/stop_machine.c`); each executes a context
    /// synchronising event before it goes on.
    StopMachine,
    /// An acknowledged interrupt to all CPUs; the return from its handler is the context
    /// synchronising event (`kick_all_cpus_sync`, `kernel/smp.c`).
    Ipi,
    /// One such interrupt for a batch: arm64 since the fix (`arch/arm64/kernel/jump_label.c`, Linux
    /// 6.12).
    Kick,
    /// x86: a breakpoint over each site of the batch, then its tail, then its first
    /// byte, with all CPUs synchronised after each of the three steps
    /// (`arch/x86/kernel/alternative.c`, Linux 6.12, text_poke_bp_batch).
    TextPoke,
    /// riscv: `fence.i` on all CPUs (`flush_icache_all`, `riscv_flush_icache`).
    FlushIcache,
    /// membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE.
    MembarrierSyncCore,
}

impl SyncMethod {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Nosync,
        Self::StopMachine,
        Self::Ipi,
        Self::Kick,
        Self::TextPoke,
        Self::FlushIcache,
        Self::MembarrierSyncCore,
    ];

    /// The sync that must end each batch on an architecture, by its name
    /// ([`jlctl_analyzer::arch::Architecture::name`]).
    #[must_use]
    pub fn of_batch(arch: &str, world: World) -> Self {
        match (arch, world) {
            ("riscv64", _) => Self::FlushIcache,
            (_, World::User) => Self::MembarrierSyncCore,
            ("x86_64", World::Kernel) => Self::TextPoke,
            (_, World::Kernel) => Self::Kick,
        }
    }

    /// Number of broadcasts to all CPUs that one use makes.
    #[must_use]
    pub const fn broadcasts(self) -> u64 {
        match self {
            Self::Nosync => 0,
            Self::TextPoke => 3,
            Self::StopMachine
            | Self::Ipi
            | Self::Kick
            | Self::FlushIcache
            | Self::MembarrierSyncCore => 1,
        }
    }

    /// Name in plans and reports, the same as in simulations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nosync => "nosync",
            Self::StopMachine => "stop-machine",
            Self::Ipi => "ipi",
            Self::Kick => "kick",
            Self::TextPoke => "text-poke",
            Self::FlushIcache => "flush-icache",
            Self::MembarrierSyncCore => "membarrier-sync-core",
        }
    }
}

/// Default bound of a batch: x86 keeps its sites in one page of 16-byte records
/// (`arch/x86/kernel/alternative.c`, Linux 6.12, TP_VEC_MAX); arm64 and riscv64 patch each site as
/// it is queued and have no bound.
#[must_use]
pub fn default_queue(arch: &str) -> Option<usize> {
    (arch == "x86_64").then_some(4096 / 16)
}
