//! Child processes by fork, for tests that change a whole process or end it.

use super::rerun::alone;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

impl End {
    fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signalled(libc::WTERMSIG(status))
        } else {
            Self::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// How a child ended, and its message.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) message: String,
}

/// The exit status of a child that panicked.
const PANICKED: i32 = 101;
/// A child that takes longer hangs, also on a busy and emulated machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest message: it fits into a pipe, so that a child does not wait for its reader.
const LONGEST: usize = 32 << 10;

/// Runs `body` in a child process, which has one thread.
///
/// # Panics
/// If the child does not end.
pub(crate) fn in_child(body: impl FnOnce() -> String) -> Outcome {
    install_panic_hook();
    let (read, write) = pipe();
    // SAFETY: the child has one thread, which uses only the allocator and the runtime, which have
    // fork handlers, and its own pipe.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            drop(read);
            run(body, write)
        }
        pid => {
            drop(write);
            let end = wait(pid);
            Outcome { end, message: rest_of(read) }
        }
    }
}

/// Runs `body`, which contains assertions, in a child process.
///
/// # Panics
/// If the child panics, with its message.
pub(crate) fn must_succeed(body: impl FnOnce()) {
    let outcome = in_child(|| {
        body();
        String::new()
    });
    assert_eq!(outcome.end, End::Exited(0), "{}", outcome.message);
}

/// Whether this process is a child.
static IS_CHILD: AtomicBool = AtomicBool::new(false);
/// The text of the panic of a child.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Installs a panic hook by which children store the text of a panic.
///
/// The hook of the test runner prints under a lock, which another thread may have held at the
/// fork.  A child cannot install a hook itself, since it would wait for a thread that was
/// panicking at the fork.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let of_runner = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if IS_CHILD.load(Ordering::Relaxed) {
                *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
            } else {
                of_runner(panic);
            }
        }));
    });
}

/// Runs `body`, the body of the test `test`, in a child of a process of its own: for a body
/// that starts threads.
///
/// In the child of a process that runs other tests too, starting threads fails in qemu-user
/// (7.2: `qemu_plugin_vcpu_init_hook`) if a thread younger than the one that forked was there.
pub(crate) fn with_threads(test: &str, body: impl FnOnce()) {
    alone(test, || must_succeed(body));
}

fn run(body: impl FnOnce() -> String, mut pipe: File) -> ! {
    IS_CHILD.store(true, Ordering::Relaxed);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    let (status, message) = match result {
        Ok(message) => (0, message),
        Err(_) => (PANICKED, PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()),
    };
    let message = message.as_bytes();
    let _ = pipe.write_all(message.get(..LONGEST).unwrap_or(message));
    // SAFETY: ends the child without running the destructors of its parent.
    unsafe { libc::_exit(status) }
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array is valid for writes of two descriptors.
    let result = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) };
    assert_eq!(result, 0, "pipe2: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new and has no other owner.
    let read = unsafe { File::from_raw_fd(ends[0]) };
    // SAFETY: likewise.
    (read, unsafe { File::from_raw_fd(ends[1]) })
}

/// Waits until the child `pid` has ended.
///
/// # Panics
/// If the child does not end.
pub(crate) fn wait(pid: i32) -> End {
    let since = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: the status is valid for writes.
        let ended = unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
        if ended == pid {
            return End::of(status);
        }
        let error = io::Error::last_os_error();
        assert!(ended == 0 || error.kind() == io::ErrorKind::Interrupted, "waitpid: {error}");
        if since.elapsed() > PATIENCE {
            // SAFETY: a child of this process that has not been waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("the child hangs");
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// The contents of the pipe.  It does not wait for the end, since another child may hold the other
/// end open.
fn rest_of(mut read: File) -> String {
    let mut bytes = vec![0; LONGEST];
    let len = read.read(&mut bytes).unwrap_or(0);
    bytes.truncate(len);
    String::from_utf8_lossy(&bytes).into_owned()
}
