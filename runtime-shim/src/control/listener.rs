//! The socket itself: opened when the program starts, served by a thread, removed at the end.

#![allow(unsafe_code, reason = "a thread by its word, and the path out of the environment")]

use super::server;
use crate::sys::text::expand;
use crate::patching::runtime;
use crate::sys::errno::Errno;
use crate::sys::file::write_stderr;
use crate::sys::socket::{self, Socket, Status};
use crate::sys::process;
use crate::sys::thread::{self, Thread};
use crate::sys::text::Text;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// The path as the environment gave it; null where no control is wanted.
static WANTED: AtomicPtr<core::ffi::c_char> = AtomicPtr::new(ptr::null_mut());
/// The process that serves; 0 for none.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// The thread that serves, by its word.
static THREAD: AtomicUsize = AtomicUsize::new(0);

/// The socket that was opened, and its file; written before the thread starts.
struct Opened(UnsafeCell<Option<(Socket, Path, Status)>>);

// SAFETY: written before the thread starts that reads it, and again after that has ended.
unsafe impl Sync for Opened {}

static OPENED: Opened = Opened(UnsafeCell::new(None));

type Path = Text<{ socket::LONGEST_PATH + 1 }>;

/// Why there is no control socket.
enum Refused {
    /// The path does not fit.
    TooLong,
    /// A step failed.
    Failed(&'static str, Errno),
    /// There is a file that is none of ours to replace.
    Taken(&'static str),
    /// Others than its owner could connect.
    Open,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "a socket's path has at most {} bytes", socket::LONGEST_PATH)
            }
            Self::Failed(what, errno) => write!(f, "cannot {what}: {errno}"),
            Self::Taken(by) => write!(f, "there is {by} of this name"),
            Self::Open => f.write_str("the file system keeps no permissions of sockets"),
        }
    }
}

/// Has [`start`] open a socket at `path`, in which `%p` stands for the process's id.
pub(crate) fn want(path: &'static CStr) {
    WANTED.store(path.as_ptr().cast_mut(), Ordering::Relaxed);
}

/// Opens the socket and starts the thread, if they are wanted.  What fails is told on standard
/// error, and the program goes on without.
///
/// For the constructor: it comes last there, so that no other part of it has another thread to
/// reckon with.
pub(crate) fn start() {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    let wanted = WANTED.load(Ordering::Relaxed);
    if wanted.is_null() || IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: it was made from a string that stays, by `want`.
    let wanted = unsafe { CStr::from_ptr(wanted) };
    if let Err(why) = open(wanted).and_then(serve) {
        let mut line = Text::<1024>::new();
        let _ = write!(line, "jlshim: JLSHIM_CONTROL: ");
        let bytes = wanted.to_bytes().iter();
        bytes.filter(|byte| !byte.is_ascii_control()).for_each(|byte| line.push(*byte));
        let _ = writeln!(line, ": {why}");
        write_stderr(line.bytes());
    }
}

/// The socket at `wanted`, which listens.
fn open(wanted: &CStr) -> Result<(Socket, Path, Status), Refused> {
    let mut path = Path::new();
    expand(wanted, process::id(), &mut path);
    let name = CStr::from_bytes_with_nul(path.bytes()).map_err(|_| Refused::TooLong)?;
    let step = |what| move |errno| Refused::Failed(what, errno);
    let socket = Socket::new().map_err(step("make a socket"))?;
    socket.set_mode(0o600).map_err(step("set its permissions"))?;
    match socket.bind(name) {
        Err(Errno(libc::EADDRINUSE)) => {
            remove_stale(name)?;
            socket.bind(name).map_err(step("make it"))?;
        }
        result => result.map_err(step("make it"))?,
    }
    let status = Status::of(name).map_err(step("find it"))?;
    // Nobody can connect before it listens.
    if status.mode & 0o077 != 0 {
        let _ = socket::remove(name);
        return Err(Refused::Open);
    }
    socket.listen().map_err(step("listen"))?;
    Ok((socket, path, status))
}

/// Removes a socket of this user's that nobody listens at.
fn remove_stale(path: &CStr) -> Result<(), Refused> {
    let step = |what| move |errno| Refused::Failed(what, errno);
    let status = Status::of(path).map_err(step("find what is there"))?;
    if !status.is_socket() {
        return Err(Refused::Taken("a file that is no socket"));
    }
    if status.owner != process::user() {
        return Err(Refused::Taken("a socket of another user"));
    }
    let probe = Socket::new().map_err(step("make a socket"))?;
    match probe.connect(path) {
        Err(Errno(libc::ECONNREFUSED)) => socket::remove(path).map_err(step("remove a stale one")),
        _ => Err(Refused::Taken("a socket that another process listens at: put %p into the path")),
    }
}

fn serve(opened: (Socket, Path, Status)) -> Result<(), Refused> {
    // The child of a fork must not have the socket.
    runtime::handle_forks();
    // SAFETY: there is no thread yet that could read it.
    unsafe { *OPENED.0.get() = Some(opened) };
    match thread::spawn(run) {
        Ok(thread) => {
            THREAD.store(thread.into_word(), Ordering::Relaxed);
            PROCESS.store(process::id(), Ordering::Relaxed);
            Ok(())
        }
        Err(errno) => {
            close();
            Err(Refused::Failed("start a thread", errno))
        }
    }
}

fn run() {
    // SAFETY: written before this thread was started; `stop` waits for its end.
    if let Some((socket, ..)) = unsafe { &*OPENED.0.get() } {
        server::serve(socket);
    }
}

/// Ends the thread and removes the socket, where this process has opened one.
///
/// For the destructor, after which the code of the thread may be gone.
pub(crate) fn stop() {
    let process = PROCESS.swap(0, Ordering::Relaxed);
    if process == 0 || process != process::id() {
        return;
    }
    server::end();
    // SAFETY: the word of the one thread that was started, used once.
    unsafe { Thread::from_word(THREAD.load(Ordering::Relaxed)) }.join();
    close();
}

/// Closes the socket, and removes its file unless that is another by now.
fn close() {
    // SAFETY: there is no thread, or it has ended.
    let Some((socket, path, status)) = (unsafe { &mut *OPENED.0.get() }).take() else { return };
    if let Ok(path) = CStr::from_bytes_with_nul(path.bytes())
        && Status::of(path).is_ok_and(|now| now.is_file_of(&status))
    {
        let _ = socket::remove(path);
    }
    drop(socket);
}
