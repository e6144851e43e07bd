//! Threads: this one and its signals, the others, and the runtime's own.

#![allow(unsafe_code, reason = "threads of the C library")]

use super::errno::{self, Errno};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

/// The id of this thread.
pub(crate) fn id() -> u32 {
    // SAFETY: gettid takes nothing and always works.
    unsafe { libc::syscall(libc::SYS_gettid) }.try_into().unwrap_or(0)
}

/// How many threads this process has: the entries of /proc/self/task.
///
/// # Errors
/// Where /proc is not mounted.
pub(crate) fn count() -> Result<u64, Errno> {
    // SAFETY: the structure is plain numbers, which stat fills.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the path ends in NUL and the structure is ours.
    let result = unsafe { libc::stat(c"/proc/self/task".as_ptr(), &raw mut status) };
    if result != 0 {
        return Err(errno::last());
    }
    // A directory's own entry and its parent's count too.
    #[allow(clippy::useless_conversion, reason = "the width depends on the architecture")]
    let links = u64::from(status.st_nlink);
    Ok(links.saturating_sub(2))
}

/// Seconds since some time in the past (CLOCK_MONOTONIC).
pub(crate) fn seconds() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec
}

/// Does nothing for a tenth of a second.
pub(crate) fn rest() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let null = core::ptr::null::<libc::c_void>();
    // SAFETY: the structure is valid; what remains of an interrupted sleep is not asked for.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, null) };
}

/// The kernel's set of signals: one bit for each of 64.
type KernelSet = u64;

/// Blocks all signals of this thread until it is dropped.
///
/// The call of the kernel and not `pthread_sigmask`, which leaves out the two signals that
/// the C library cancels threads and changes user ids with: a thread cancelled in the
/// middle of a batch would leave a lock held and pages writable.  Faults are not held
/// back: the kernel ends the process, as nobody could go on from one.
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
    // SAFETY: both sets are valid and have the size stated.  It cannot fail then.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, set, &raw mut before, size) };
    before
}

/// A thread that handles none of the program's signals.
#[derive(Debug)]
pub(crate) struct Thread(libc::pthread_t);

/// Starts a thread that calls `run`.
///
/// By the C library, so that it is known there: what changes user ids changes those of all
/// threads that it knows, and this one must not keep rights that the program has given up.
/// All signals are blocked in it but the C library's own, which is what those changes come by.
/// Its stack is as large as any thread's: where thread-local variables are many, they are
/// taken from it.
///
/// # Errors
/// EAGAIN and others of pthread_create(3).
pub(crate) fn spawn(run: fn()) -> Result<Thread, Errno> {
    let before = block_all();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    let argument = run as *mut c_void;
    // SAFETY: the thread is ours to be filled, and `call` gets a function as its argument.
    let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), call, argument) };
    set(&before);
    if error != 0 {
        return Err(Errno(error));
    }
    // SAFETY: pthread_create has filled it.
    Ok(Thread(unsafe { thread.assume_init() }))
}

extern "C" fn call(run: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passes a function of this type.
    let run = unsafe { core::mem::transmute::<*mut c_void, fn()>(run) };
    run();
    ptr::null_mut()
}

impl Thread {
    /// Waits for its end.
    pub(crate) fn join(self) {
        // SAFETY: the thread was made by `spawn`, and is joined once.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
    }

    /// What it is called by in a word; see [`Self::from_word`].
    #[allow(clippy::cast_possible_truncation, reason = "a pointer, or a number as wide")]
    pub(crate) fn into_word(self) -> usize {
        self.0 as usize
    }

    /// The thread of a word.
    ///
    /// # Safety
    /// The word is [`Self::into_word`]'s, and used once.
    pub(crate) unsafe fn from_word(word: usize) -> Self {
        Self(word as libc::pthread_t)
    }
}

/// Blocks all signals of this thread but the C library's own; those that were blocked before.
fn block_all() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset fills the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: it is filled.
    set(&unsafe { all.assume_init() })
}

fn set(signals: &libc::sigset_t) -> libc::sigset_t {
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals, before.as_mut_ptr()) };
    // SAFETY: a set of bits, zeroed, and filled by the call.
    unsafe { before.assume_init() }
}
