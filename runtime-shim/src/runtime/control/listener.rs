//! The socket: opened when the program starts, served by a thread, removed at the end.

#![allow(unsafe_code, reason = "a thread by its word, and the path from the environment")]

use super::server;
use crate::runtime::patching::state;
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::file::write_stderr;
use crate::runtime::sys::process;
use crate::runtime::sys::socket::{self, Socket, Status};
use crate::runtime::sys::text::{Text, expand};
use crate::runtime::sys::thread::{self, Thread};
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// The path from the environment; null for no control socket.
static PATH: AtomicPtr<core::ffi::c_char> = AtomicPtr::new(ptr::null_mut());
/// The process with the serving thread; 0 if there is none.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// The serving thread, as a word.
static THREAD: AtomicUsize = AtomicUsize::new(0);

/// The open socket, its path, and the status of its file.
struct Opened(UnsafeCell<Option<(Socket, Path, Status)>>);

// SAFETY: written before the thread that reads it starts, and after that thread has ended.
unsafe impl Sync for Opened {}

static OPENED: Opened = Opened(UnsafeCell::new(None));

type Path = Text<{ socket::LONGEST_PATH + 1 }>;

/// The reason why there is no control socket.
enum ListenError {
    /// The path is too long.
    TooLong,
    /// A step failed.
    Failed(&'static str, Errno),
    /// The path names a file that the runtime must not replace.
    Taken(&'static str),
    /// Users other than the owner could connect.
    Open,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the path of a socket has at most {} bytes", socket::LONGEST_PATH)
            }
            Self::Failed(what, errno) => write!(f, "cannot {what}: {errno}"),
            Self::Taken(by) => write!(f, "{by} has this name"),
            Self::Open => f.write_str("the file system does not store permissions of sockets"),
        }
    }
}

/// Makes [`start`] open a socket at `path`, with the process id for `%p`.
pub(crate) fn set_path(path: &'static CStr) {
    PATH.store(path.as_ptr().cast_mut(), Ordering::Relaxed);
}

/// Opens the socket and starts the thread, if the environment names a path.  A failure is reported
/// on standard error, and the program continues without the socket.
///
/// The constructor calls it last, so that all other parts of the constructor run in the only
/// thread.
pub(crate) fn start() {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    let path = PATH.load(Ordering::Relaxed);
    if path.is_null() || IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: a string that stays in place, by `set_path`.
    let path = unsafe { CStr::from_ptr(path) };
    if let Err(error) = open(path).and_then(serve) {
        let mut line = Text::<1024>::new();
        let _ = write!(line, "jlshim: JLSHIM_CONTROL: ");
        let bytes = path.to_bytes().iter();
        bytes.filter(|byte| !byte.is_ascii_control()).for_each(|byte| line.push(*byte));
        let _ = writeln!(line, ": {error}");
        write_stderr(line.bytes());
    }
}

/// Opens a listening socket at `template`, with the process id for `%p`.
fn open(template: &CStr) -> Result<(Socket, Path, Status), ListenError> {
    let mut path = Path::new();
    expand(template, process::id(), &mut path);
    let name = CStr::from_bytes_with_nul(path.bytes()).map_err(|_| ListenError::TooLong)?;
    let step = |what| move |errno| ListenError::Failed(what, errno);
    let socket = Socket::new().map_err(step("create a socket"))?;
    socket.set_mode(0o600).map_err(step("set its permissions"))?;
    match socket.bind(name) {
        Err(Errno(libc::EADDRINUSE)) => {
            remove_stale(name)?;
            socket.bind(name).map_err(step("bind it"))?;
        }
        result => result.map_err(step("bind it"))?,
    }
    let status = Status::of(name).map_err(step("read its status"))?;
    // No client can connect before the socket listens.
    if status.mode & 0o077 != 0 {
        let _ = socket::remove(name);
        return Err(ListenError::Open);
    }
    socket.listen().map_err(step("listen"))?;
    Ok((socket, path, status))
}

/// Removes a socket of this user on which no process listens.
fn remove_stale(path: &CStr) -> Result<(), ListenError> {
    let step = |what| move |errno| ListenError::Failed(what, errno);
    let status = Status::of(path).map_err(step("read the status of the present file"))?;
    if !status.is_socket() {
        return Err(ListenError::Taken("a file that is not a socket"));
    }
    if status.owner != process::user() {
        return Err(ListenError::Taken("a socket of another user"));
    }
    let probe = Socket::new().map_err(step("create a socket"))?;
    match probe.connect(path) {
        Err(Errno(libc::ECONNREFUSED)) => {
            socket::remove(path).map_err(step("remove a stale socket"))
        }
        _ => Err(ListenError::Taken(
            "a socket on which another process listens (put %p into the path)",
        )),
    }
}

fn serve(opened: (Socket, Path, Status)) -> Result<(), ListenError> {
    // The child of a fork closes the socket.
    state::handle_forks();
    // SAFETY: the thread that reads it has not started.
    unsafe { *OPENED.0.get() = Some(opened) };
    match thread::spawn(run) {
        Ok(thread) => {
            THREAD.store(thread.into_word(), Ordering::Relaxed);
            PROCESS.store(process::id(), Ordering::Relaxed);
            Ok(())
        }
        Err(errno) => {
            close();
            Err(ListenError::Failed("start a thread", errno))
        }
    }
}

fn run() {
    // SAFETY: written before this thread started; `stop` waits for its end.
    if let Some((socket, ..)) = unsafe { &*OPENED.0.get() } {
        server::serve(socket);
    }
}

/// Ends the thread and removes the socket, if this process has opened one.
///
/// For the destructor, after which the code of the thread may be unmapped.
pub(crate) fn stop() {
    let process = PROCESS.swap(0, Ordering::Relaxed);
    if process == 0 || process != process::id() {
        return;
    }
    server::end();
    // SAFETY: the word of the one thread that was started; it is used once.
    unsafe { Thread::from_word(THREAD.load(Ordering::Relaxed)) }.join();
    close();
}

/// Closes the socket, and removes its file unless another file has replaced it.
fn close() {
    // SAFETY: the serving thread has not started, or has ended.
    let Some((socket, path, status)) = (unsafe { &mut *OPENED.0.get() }).take() else { return };
    if let Ok(path) = CStr::from_bytes_with_nul(path.bytes())
        && Status::of(path).is_ok_and(|now| now.is_file_of(&status))
    {
        let _ = socket::remove(path);
    }
    drop(socket);
}
