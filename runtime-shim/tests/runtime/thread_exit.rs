//! Threads that end while they flip: the lock is released, and no page stays writable.

#![allow(unsafe_code, reason = "cancellation, signals")]

use crate::common::child::with_threads;
use crate::common::emulator::{leaves_out, rounds};
use crate::common::memory::writable_code;
use crate::common::over::Over;
use crate::common::refetch::refetch;
use crate::common::rerun::test_path;
use crate::common::sites::assert_follow;
use jlctl_shim::{define_static_key_false, report, static_branch_likely, static_branch_unlikely};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, ptr, thread};

unsafe extern "C" {
    fn pthread_cancel(thread: libc::pthread_t) -> i32;
}
unsafe extern "C-unwind" {
    fn pthread_testcancel();
}

const PATIENCE: Duration = Duration::from_secs(120);

define_static_key_false!(static KEY);

fn sites() -> [bool; 2] {
    [static_branch_unlikely!(KEY), static_branch_likely!(KEY)]
}

/// Asserts that the lock is free, that each site follows the key, and that no page is writable.
fn assert_consistent() {
    let counts = report().unwrap();
    assert_eq!((counts.failed_batches, counts.uncovered, counts.open_pages), (0, 0, 0));
    assert_eq!(writable_code(), []);
    assert_follow(&KEY);
    refetch(&[&KEY]);
    // A thread may have ended between its increment and its decrement.
    while KEY.count() > 0 {
        assert_eq!(black_box(sites()), [true; 2]);
        KEY.decrement().unwrap();
    }
    assert_eq!(black_box(sites()), [false; 2]);
    KEY.enable().unwrap();
    assert_eq!(black_box(sites()), [true; 2]);
    KEY.disable().unwrap();
}

type Body = extern "C-unwind" fn(*mut libc::c_void) -> *mut libc::c_void;

/// Starts a thread by the C library, which can cancel it.
fn start(body: Body) -> libc::pthread_t {
    type Start = extern "C" fn(*mut libc::c_void) -> *mut libc::c_void;
    // SAFETY: the types differ only in unwinding, by which cancellation ends a thread.
    let body = unsafe { std::mem::transmute::<Body, Start>(body) };
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    let to = thread.as_mut_ptr();
    // SAFETY: no attributes are passed, and the body ignores its argument.
    let result = unsafe { libc::pthread_create(to, ptr::null(), body, ptr::null_mut()) };
    assert_eq!(result, 0);
    // SAFETY: pthread_create has initialised it.
    unsafe { thread.assume_init() }
}

/// Waits for the end of `thread`.  Returns whether it was cancelled.
fn join(thread: libc::pthread_t) -> bool {
    let mut result = ptr::null_mut::<libc::c_void>();
    // SAFETY: the thread has not been joined.
    assert_eq!(unsafe { libc::pthread_join(thread, &raw mut result) }, 0);
    // PTHREAD_CANCELED, which libc does not define.
    result.addr() == usize::MAX
}

static FLIPS: AtomicU32 = AtomicU32::new(0);

/// Flips until it is cancelled, at a cancellation point between flips.
extern "C-unwind" fn flip_and_test(_: *mut libc::c_void) -> *mut libc::c_void {
    loop {
        if KEY.increment().and(KEY.decrement()).is_err() {
            return ptr::null_mut();
        }
        FLIPS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: no frame above has a value to drop.
        unsafe { pthread_testcancel() };
    }
}

/// Requests its own cancellation, and then flips ten times.
extern "C-unwind" fn flip_when_cancelled(_: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: this thread.
    let own = unsafe { libc::pthread_self() };
    // SAFETY: likewise.
    unsafe { pthread_cancel(own) };
    for _ in 0..10 {
        if KEY.increment().and(KEY.decrement()).is_ok() {
            FLIPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    // SAFETY: no frame above has a value to drop.
    unsafe { pthread_testcancel() };
    ptr::null_mut()
}

/// No function of the runtime is a cancellation point.
#[test]
fn a_flip_is_not_a_cancellation_point() {
    with_threads(test_path!(), || {
        assert!(join(start(flip_when_cancelled)), "the thread was cancelled after its flips");
        assert_eq!(FLIPS.load(Ordering::Relaxed), 10);
        assert_consistent();
    });
}

#[test]
fn cancelled_between_flips() {
    let rounds = rounds(300, 30);
    with_threads(test_path!(), || {
        for round in 0..rounds {
            let threads = [start(flip_and_test), start(flip_and_test)];
            thread::sleep(Duration::from_micros(round * 7 % 900));
            for thread in threads {
                // SAFETY: the thread has not been joined.
                assert_eq!(unsafe { pthread_cancel(thread) }, 0);
            }
            assert!(threads.into_iter().all(join), "no flip has failed");
            assert_consistent();
        }
        assert!(FLIPS.load(Ordering::Relaxed) >= 2);
    });
}

static THREAD: AtomicI32 = AtomicI32::new(0);

/// Flips until it is ended.
extern "C-unwind" fn flip(_: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: no arguments.
    let own = unsafe { libc::syscall(libc::SYS_gettid) };
    THREAD.store(own.try_into().unwrap_or(-1), Ordering::Relaxed);
    loop {
        let _ = KEY.increment();
        FLIPS.fetch_add(1, Ordering::Relaxed);
        let _ = KEY.decrement();
    }
}

/// Cancellation of the asynchronous type, at any instruction outside batches.
///
/// The test needs a C library whose cancellation does not unwind: glibc's does, and Rust code cannot
/// be unwound from every instruction.  The test below ends threads without unwinding.
#[cfg(target_env = "musl")]
mod asynchronous {
    use super::*;

    unsafe extern "C" {
        fn pthread_setcanceltype(kind: i32, before: *mut i32) -> i32;
    }

    /// Flips until it is cancelled, at any instruction.
    extern "C-unwind" fn flip_asynchronously(none: *mut libc::c_void) -> *mut libc::c_void {
        const ASYNCHRONOUS: i32 = 1;
        // SAFETY: musl accepts a null pointer.
        unsafe { pthread_setcanceltype(ASYNCHRONOUS, ptr::null_mut()) };
        flip(none)
    }

    #[test]
    fn cancelled_at_any_instruction() {
        let rounds = rounds(300, 30);
        with_threads(test_path!(), || {
            for round in 0..rounds {
                let threads = [start(flip_asynchronously), start(flip_asynchronously)];
                thread::sleep(Duration::from_micros(round * 7 % 900));
                for thread in threads {
                    // SAFETY: the thread has not been joined.
                    assert_eq!(unsafe { pthread_cancel(thread) }, 0);
                }
                assert!(threads.into_iter().all(join));
                assert_consistent();
            }
        });
    }
}

/// Ends this thread without unwinding.
extern "C" fn end_thread(_signal: i32) {
    // SAFETY: the thread does not release its locks, which is the subject of the test.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn send(thread: i32, signal: i32) -> bool {
    // SAFETY: no arguments.
    let process = unsafe { libc::getpid() };
    // SAFETY: no pointers; the thread may have ended.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) == 0 }
}

/// A signal ends threads at any instruction outside batches.
#[test]
fn ended_by_a_signal_at_any_instruction() {
    let rounds = rounds(300, 30);
    with_threads(test_path!(), || {
        // SAFETY: an action of zeroes has no flags and an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = end_thread as *const () as usize;
        // SAFETY: the handler makes one system call.
        let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
        assert_eq!(result, 0, "sigaction: {}", io::Error::last_os_error());
        for round in 0..rounds {
            THREAD.store(0, Ordering::Relaxed);
            start(flip);
            let (since, before) = (Instant::now(), FLIPS.load(Ordering::Relaxed));
            while FLIPS.load(Ordering::Relaxed) == before {
                assert!(since.elapsed() < PATIENCE, "the thread does not flip");
                thread::yield_now();
            }
            thread::sleep(Duration::from_micros(round * 7 % 300));
            let thread = THREAD.load(Ordering::Relaxed);
            assert!(send(thread, libc::SIGUSR1), "the thread exists");
            while send(thread, 0) {
                assert!(since.elapsed() < PATIENCE, "the thread does not end");
                thread::yield_now();
            }
            assert_consistent();
        }
    });
}

/// During a batch all signals are blocked, including the two that the C library uses, one of them to
/// cancel threads.
#[test]
fn all_signals_are_blocked_during_a_batch() {
    if leaves_out("the signal mask is the emulator's") {
        return;
    }
    with_threads(test_path!(), || {
        // All signals except SIGKILL (9) and SIGSTOP (19), which cannot be blocked.
        const ALL: u64 = !(1 << 8 | 1 << 18);
        let (is_over, is_ready) = (AtomicBool::new(false), AtomicI32::new(0));
        thread::scope(|scope| {
            let over = Over(&is_over);
            scope.spawn(|| {
                // SAFETY: no arguments.
                let own = unsafe { libc::syscall(libc::SYS_gettid) };
                is_ready.store(own.try_into().unwrap(), Ordering::Relaxed);
                while !is_over.load(Ordering::Relaxed) {
                    KEY.increment().unwrap();
                    KEY.decrement().unwrap();
                }
            });
            let since = Instant::now();
            while is_ready.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            let path = format!("/proc/self/task/{}/status", is_ready.load(Ordering::Relaxed));
            let (mut blocked, mut free) = (0, 0);
            while (blocked < 20 || free < 20) && since.elapsed() < PATIENCE {
                let status = fs::read_to_string(&path).unwrap();
                let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
                match u64::from_str_radix(mask.trim(), 16).unwrap() {
                    ALL => blocked += 1,
                    0 => free += 1,
                    mask => panic!("{mask:#x} is blocked"),
                }
            }
            drop(over);
            assert!(blocked >= 20 && free >= 20, "{blocked} times blocked, {free} times not");
        });
        assert_consistent();
    });
}
