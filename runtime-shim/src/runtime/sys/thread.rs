//! Threads: the calling thread and its signals, the number of threads, and the runtime's own
//! thread.

#![allow(unsafe_code, reason = "threads of the C library")]

use super::errno::{self, Errno};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

/// The id of this thread.
pub(crate) fn id() -> u32 {
    // SAFETY: gettid takes no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) }.try_into().unwrap_or(0)
}

/// The number of threads of this process: the entries of /proc/self/task.
///
/// # Errors
/// If /proc is not mounted.
pub(crate) fn count() -> Result<u64, Errno> {
    // SAFETY: a structure of integers, which stat fills in.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the path ends with NUL, and the structure is valid for writes.
    let result = unsafe { libc::stat(c"/proc/self/task".as_ptr(), &raw mut status) };
    if result != 0 {
        return Err(errno::last());
    }
    // The directory's own entry and its parent's are links too.
    #[allow(clippy::useless_conversion, reason = "the width depends on the architecture")]
    let links = u64::from(status.st_nlink);
    Ok(links.saturating_sub(2))
}

/// The time in seconds since a fixed point in the past (CLOCK_MONOTONIC).
pub(crate) fn monotonic_seconds() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid for writes.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec
}

/// Sleeps for a tenth of a second.
pub(crate) fn sleep_100_ms() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let null = core::ptr::null::<libc::c_void>();
    // SAFETY: the structure is valid for reads; the remaining time is not requested.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, null) };
}

/// The kernel's set of signals: one bit for each of 64 signals.
type KernelSet = u64;

/// Blocks all signals of this thread until it is dropped.
///
/// It uses the system call, since `pthread_sigmask` leaves out the two signals by which the C
/// library cancels threads and changes user ids: a thread cancelled during a batch would leave
/// the lock held and pages writable.  A fault is not delayed: the kernel ends the process.
pub(crate) struct Blocked {
    before: KernelSet,
}

impl Blocked {
    pub(crate) fn new() -> Self {
        Self { before: set_mask(libc::SIG_SETMASK, KernelSet::MAX) }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(libc::SIG_SETMASK, self.before);
    }
}

fn set_mask(how: i32, set: KernelSet) -> KernelSet {
    let mut before: KernelSet = 0;
    let (set, size) = (ptr::from_ref(&set), size_of::<KernelSet>());
    // SAFETY: both sets are valid and have the given size, so that the call cannot fail.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, set, &raw mut before, size) };
    before
}

/// A thread of the runtime, which handles none of the program's signals.
#[derive(Debug)]
pub(crate) struct Thread(libc::pthread_t);

/// Starts a thread that calls `run`.
///
/// The C library creates the thread, so that it knows of it: setuid(2) and its relatives change
/// the ids of all threads that the C library knows, and this thread must not keep privileges
/// that the program has dropped.  All signals are blocked in it except the C library's own,
/// which carry these changes.  Its stack has the default size, since thread-local variables are
/// part of the stack and may be large.
///
/// # Errors
/// EAGAIN and the other errors of pthread_create(3).
pub(crate) fn spawn(run: fn()) -> Result<Thread, Errno> {
    let before = block_all();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    let argument = run as *mut c_void;
    // SAFETY: `thread` is valid for writes, and the argument of `call` is a function.
    let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), call, argument) };
    set(&before);
    if error != 0 {
        return Err(Errno(error));
    }
    // SAFETY: pthread_create has initialised it.
    Ok(Thread(unsafe { thread.assume_init() }))
}

extern "C" fn call(run: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passes a function of this type.
    let run = unsafe { core::mem::transmute::<*mut c_void, fn()>(run) };
    run();
    ptr::null_mut()
}

impl Thread {
    /// Waits until the thread has ended.
    pub(crate) fn join(self) {
        // SAFETY: `spawn` created the thread, and it is joined once.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
    }

    /// The thread as a word for a static; see [`Self::from_word`].
    #[allow(clippy::cast_possible_truncation, reason = "a pointer, or a number as wide")]
    pub(crate) fn into_word(self) -> usize {
        self.0 as usize
    }

    /// The thread that a word stands for.
    ///
    /// # Safety
    /// The word is a result of [`Self::into_word`] and is used once.
    pub(crate) unsafe fn from_word(word: usize) -> Self {
        Self(word as libc::pthread_t)
    }
}

/// Blocks all signals of this thread except the C library's own, and returns the previous set.
fn block_all() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is valid for writes.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: sigfillset has initialised it.
    set(&unsafe { all.assume_init() })
}

fn set(signals: &libc::sigset_t) -> libc::sigset_t {
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals, before.as_mut_ptr()) };
    // SAFETY: a set of bits, initialised to zero and filled in by the call.
    unsafe { before.assume_init() }
}
