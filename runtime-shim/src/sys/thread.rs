//! A thread of the runtime's own.

#![allow(unsafe_code, reason = "threads of the C library")]

use super::errno::Errno;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

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
