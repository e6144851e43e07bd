//! The final synchronisation of a batch: its method, its strength, and when it is refused.
//!
//! A thread that executes old code after a flip has returned fetched that code earlier.  On
//! arm64 and x86-64 only a context synchronisation event of its PE makes the thread fetch the
//! new code (Arm ARM DDI 0487 B2.2.5, Intel SDM volume 3 "Handling Self- and Cross-Modifying
//! Code").  membarrier(2) with `PRIVATE_EXPEDITED_SYNC_CORE` causes such an event on all PEs
//! that run a thread of this process.  riscv64 has riscv_flush_icache(2) for the same purpose.
//!
//! No weaker synchronisation is used in silence: [`SyncLevel`] states what a flip got, and a
//! best-effort method must be [allowed](Allowed).

use super::settings::{self, Allowed};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::{process, thread};
use core::fmt;
use core::sync::atomic::{AtomicI32, Ordering};

/// Commands of membarrier(2), Linux `include/uapi/linux/membarrier.h`.
mod command {
    pub(super) const QUERY: i32 = 0;
    pub(super) const GLOBAL: i32 = 1;
    pub(super) const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
    pub(super) const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;
}

/// The method that makes the other threads fetch new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// membarrier(2), `PRIVATE_EXPEDITED_SYNC_CORE`.
    SyncCore,
    /// riscv_flush_icache(2).
    FlushIcache,
    /// None is needed: the process has one thread.
    SingleThread,
    /// membarrier(2), `GLOBAL`: every PE passes through the scheduler, an exception or the end
    /// of user mode.  The kernel guarantees a memory barrier and nothing else.
    GlobalMembarrier,
}

/// The strength of a synchronisation, with its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncLevel {
    /// After the flip has returned, no thread that learns of it executes old code.
    Strict(Method),
    /// Probably the same, but neither the kernel nor the architecture guarantees it.
    BestEffort(Method),
}

impl SyncLevel {
    /// The method.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Strict(method) | Self::BestEffort(method) => method,
        }
    }

    /// Whether the synchronisation is strict.
    #[must_use]
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Strict(_))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SyncCore => "membarrier-sync-core",
            Self::FlushIcache => "riscv-flush-icache",
            Self::SingleThread => "single-thread",
            Self::GlobalMembarrier => "membarrier-global",
        })
    }
}

/// The reason why no permitted synchronisation is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The program or its environment forbids membarrier(2), and the process has several threads.
    Forbidden,
    /// The kernel has no membarrier(2), or a seccomp filter answers for it (ENOSYS).
    NoMembarrier,
    /// The kernel or the architecture does not support the command (EINVAL).
    NoSyncCore,
    /// A policy denies membarrier(2) (EPERM and others).
    Denied(Errno),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => {
                f.write_str("membarrier is forbidden by the program or by JLSHIM_NO_MEMBARRIER")?;
            }
            Self::NoMembarrier => {
                f.write_str(
                    "the kernel has no membarrier, or a seccomp filter denies it (ENOSYS)",
                )?;
            }
            Self::NoSyncCore => {
                f.write_str("membarrier cannot synchronise the cores of this machine (EINVAL)")?;
            }
            Self::Denied(errno) => write!(f, "membarrier is denied: {errno}")?,
        }
        f.write_str(", and the process has several threads that could continue with old code")
    }
}

/// The outcome of the registration; see [`Registration`].
static REGISTRATION: AtomicI32 = AtomicI32::new(Registration::UNKNOWN);

/// The registration of this process for membarrier(2).
enum Registration {
    Unknown,
    Registered,
    Failed(Errno),
}

impl Registration {
    // Error numbers are positive.
    const UNKNOWN: i32 = 0;
    const REGISTERED: i32 = -1;

    fn load() -> Self {
        match REGISTRATION.load(Ordering::Relaxed) {
            Self::UNKNOWN => Self::Unknown,
            Self::REGISTERED => Self::Registered,
            errno => Self::Failed(Errno(errno)),
        }
    }

    fn store(&self) {
        let number = match self {
            Self::Unknown => Self::UNKNOWN,
            Self::Registered => Self::REGISTERED,
            Self::Failed(errno) => errno.0,
        };
        REGISTRATION.store(number, Ordering::Relaxed);
    }
}

/// Registers the process for membarrier(2).  The call takes longer once the process has several
/// threads.
pub(crate) fn register() {
    if cfg!(target_arch = "riscv64") || !settings::permits_membarrier() {
        return;
    }
    // No QUERY is needed: a kernel without the command returns EINVAL.
    match process::membarrier(command::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) {
        Ok(_) => Registration::Registered,
        Err(errno) => Registration::Failed(errno),
    }
    .store();
}

/// The synchronisation that a batch would use now.
///
/// # Errors
/// The reason why a batch would be refused.
pub(crate) fn choose(allowed: Allowed) -> Result<SyncLevel, Refusal> {
    if cfg!(target_arch = "riscv64") {
        return Ok(SyncLevel::Strict(Method::FlushIcache));
    }
    let refusal = match availability() {
        Ok(()) => return Ok(SyncLevel::Strict(Method::SyncCore)),
        Err(refusal) => refusal,
    };
    // Only this thread could start another one.
    if thread::count() == Ok(1) {
        return Ok(SyncLevel::Strict(Method::SingleThread));
    }
    let is_global =
        || process::membarrier(command::QUERY).is_ok_and(|all| all & command::GLOBAL != 0);
    if allowed.best_effort && settings::permits_membarrier() && is_global() {
        return Ok(SyncLevel::BestEffort(Method::GlobalMembarrier));
    }
    Err(refusal)
}

fn availability() -> Result<(), Refusal> {
    if !settings::permits_membarrier() {
        return Err(Refusal::Forbidden);
    }
    if matches!(Registration::load(), Registration::Unknown) {
        register();
    }
    match Registration::load() {
        Registration::Registered => Ok(()),
        Registration::Failed(Errno(libc::ENOSYS)) | Registration::Unknown => {
            Err(Refusal::NoMembarrier)
        }
        Registration::Failed(Errno(libc::EINVAL)) => Err(Refusal::NoSyncCore),
        Registration::Failed(errno) => Err(Refusal::Denied(errno)),
    }
}

/// Synchronises all threads by the method of `level`.
///
/// # Errors
/// The error of the kernel.
pub(crate) fn synchronise(level: SyncLevel) -> Result<(), Errno> {
    match level.method() {
        Method::SyncCore => sync_core(),
        Method::SingleThread => Ok(()),
        Method::GlobalMembarrier => process::membarrier(command::GLOBAL).map(drop),
        #[cfg(target_arch = "riscv64")]
        Method::FlushIcache => process::flush_icache_of_all_threads(),
        #[cfg(not(target_arch = "riscv64"))]
        Method::FlushIcache => Err(Errno(libc::ENOSYS)),
    }
}

/// EPERM means that the process is not registered, although it was: it has been recreated, for
/// example from a checkpoint, and has to register again.
fn sync_core() -> Result<(), Errno> {
    let sync = || process::membarrier(command::PRIVATE_EXPEDITED_SYNC_CORE).map(drop);
    match sync() {
        Err(Errno(libc::EPERM)) => {
            process::membarrier(command::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)?;
            sync()
        }
        result => result,
    }
}
