//! The one final synchronisation: how it is done, how strong it is, and when it is refused.
//!
//! A thread that executes old code after a flip has returned has fetched it before.  On
//! arm64 and x86-64 only a context synchronisation event of that thread's PE makes it fetch
//! anew (Arm ARM DDI 0487 B2.2.5, Intel SDM volume 3 "Handling Self- and Cross-Modifying
//! Code"); membarrier(2) with `PRIVATE_EXPEDITED_SYNC_CORE` brings one about on all PEs that
//! run a thread of this process.  riscv64 has riscv_flush_icache(2) for it.

use super::settings::{self, Allowed};
use crate::sys::errno::Errno;
use crate::sys::{process, thread};
use core::fmt;
use core::sync::atomic::{AtomicI32, Ordering};

/// Commands of membarrier(2), Linux `include/uapi/linux/membarrier.h`.
mod command {
    pub(super) const QUERY: i32 = 0;
    pub(super) const GLOBAL: i32 = 1;
    pub(super) const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
    pub(super) const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;
}

/// How the other threads are made to fetch new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// membarrier(2), PRIVATE_EXPEDITED_SYNC_CORE.
    SyncCore,
    /// riscv_flush_icache(2).
    FlushIcache,
    /// There is no other thread.
    SingleThread,
    /// membarrier(2), GLOBAL: every PE passes through the scheduler, an exception or user
    /// mode's end.  The kernel promises a memory barrier and no more.
    GlobalMembarrier,
}

/// How much a synchronisation is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncLevel {
    /// When the flip returns, no thread executes old code any more that has been told of it.
    Strict(Method),
    /// Likely the same, by nobody's promise.
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

    /// Whether it is sure.
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

/// Why there is no synchronisation that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The process must not call membarrier(2), and has several threads.
    Forbidden,
    /// The kernel lacks membarrier(2) (ENOSYS), or a seccomp filter says so.
    NoMembarrier,
    /// The kernel or the architecture lacks the command (EINVAL).
    NoSyncCore,
    /// A policy denies it (EPERM and others).
    Denied(Errno),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("membarrier is forbidden by the program or by JLSHIM_NO_MEMBARRIER")?,
            Self::NoMembarrier => f.write_str("the kernel, or a filter of system calls, has no membarrier (ENOSYS)")?,
            Self::NoSyncCore => {
                f.write_str("membarrier cannot synchronise the cores of this machine (EINVAL)")?;
            }
            Self::Denied(errno) => write!(f, "membarrier is denied: {errno}")?,
        }
        f.write_str(", and the process has several threads that could go on with old code")
    }
}

/// What registering came to; see [`State`].
static STATE: AtomicI32 = AtomicI32::new(State::UNKNOWN);

/// What is known of membarrier(2) in this process.
enum State {
    Unknown,
    Registered,
    Failed(Errno),
}

impl State {
    // Numbers of errors are positive.
    const UNKNOWN: i32 = 0;
    const REGISTERED: i32 = -1;

    fn load() -> Self {
        match STATE.load(Ordering::Relaxed) {
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
        STATE.store(number, Ordering::Relaxed);
    }
}

/// Registers the process for membarrier(2), which takes longer once there are threads.
pub(crate) fn register() {
    if cfg!(target_arch = "riscv64") || !settings::permits_membarrier() {
        return;
    }
    // It needs no QUERY before: the kernel says EINVAL where it has no such command.
    match process::membarrier(command::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) {
        Ok(_) => State::Registered,
        Err(errno) => State::Failed(errno),
    }
    .store();
}

/// The synchronisation that a batch would get now.
///
/// # Errors
/// Why there is none; a batch would be refused.
pub(crate) fn choose(allowed: Allowed) -> Result<SyncLevel, Refusal> {
    if cfg!(target_arch = "riscv64") {
        return Ok(SyncLevel::Strict(Method::FlushIcache));
    }
    let refusal = match availability() {
        Ok(()) => return Ok(SyncLevel::Strict(Method::SyncCore)),
        Err(refusal) => refusal,
    };
    // The only thread cannot be joined by another while it is here.
    if thread::count() == Ok(1) {
        return Ok(SyncLevel::Strict(Method::SingleThread));
    }
    let is_global = || process::membarrier(command::QUERY).is_ok_and(|all| all & command::GLOBAL != 0);
    if allowed.best_effort && settings::permits_membarrier() && is_global() {
        return Ok(SyncLevel::BestEffort(Method::GlobalMembarrier));
    }
    Err(refusal)
}

fn availability() -> Result<(), Refusal> {
    if !settings::permits_membarrier() {
        return Err(Refusal::Forbidden);
    }
    if matches!(State::load(), State::Unknown) {
        register();
    }
    match State::load() {
        State::Registered => Ok(()),
        State::Failed(Errno(libc::ENOSYS)) | State::Unknown => Err(Refusal::NoMembarrier),
        State::Failed(Errno(libc::EINVAL)) => Err(Refusal::NoSyncCore),
        State::Failed(errno) => Err(Refusal::Denied(errno)),
    }
}

/// Synchronises all threads by `level`.
///
/// # Errors
/// What the kernel said.
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

/// EPERM says that the process is not registered, although it was: something (a checkpoint
/// restored) has made it anew.  Registering again is all there is to do.
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
