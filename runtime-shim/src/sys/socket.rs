//! UNIX sockets (unix(7)), by descriptors that are closed when dropped, and in a child made by
//! fork.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{self, Errno, checked};
use core::ffi::CStr;
use core::mem::offset_of;
use core::sync::atomic::{AtomicI32, Ordering};

/// The longest path of a socket, in bytes, without its NUL.
pub(crate) const LONGEST_PATH: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;

#[allow(clippy::cast_possible_truncation, reason = "it is 1")]
const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;

/// Sockets that are open: one that listens, and one that serves.
const MOST: usize = 2;
const NONE: i32 = -1;
/// In one order with what tells the thread to end: it sees that, or its socket is seen.
const ORDER: Ordering = Ordering::SeqCst;
static OPEN: [AtomicI32; MOST] = [const { AtomicI32::new(NONE) }; MOST];

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket(i32);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The effective user id that it had when it connected.
    pub(crate) user: u32,
}

impl Socket {
    /// A stream socket, not inherited by exec.
    pub(crate) fn new() -> Result<Self, Errno> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let fd = checked(unsafe { libc::syscall(libc::SYS_socket, libc::AF_UNIX, kind, 0) })?;
        Ok(Self::keep(fd))
    }

    fn keep(fd: libc::c_long) -> Self {
        let fd = i32::try_from(fd).unwrap_or(NONE);
        for open in &OPEN {
            if open.compare_exchange(NONE, fd, ORDER, ORDER).is_ok() {
                break;
            }
        }
        Self(fd)
    }

    /// Gives the file that [`bind`](Self::bind) makes the permissions `mode`, less those that the
    /// process's umask takes away: `unix_bind`, Linux 6.12 `net/unix/af_unix.c`, takes the mode
    /// of the socket's own inode.
    pub(crate) fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        // SAFETY: no pointers.
        checked(unsafe { libc::syscall(libc::SYS_fchmod, self.0, mode) })?;
        Ok(())
    }

    /// Makes the file `path`, which is this socket from then on.
    pub(crate) fn bind(&self, path: &CStr) -> Result<(), Errno> {
        self.with_address(libc::SYS_bind, path)
    }

    /// Connects to the socket `path`.
    pub(crate) fn connect(&self, path: &CStr) -> Result<(), Errno> {
        self.with_address(libc::SYS_connect, path)
    }

    fn with_address(&self, call: libc::c_long, path: &CStr) -> Result<(), Errno> {
        let bytes = path.to_bytes_with_nul();
        if bytes.len() > LONGEST_PATH + 1 {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        // SAFETY: the structure is plain numbers.
        let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
        address.sun_family = FAMILY;
        let chars = path.as_ptr();
        for (at, to) in address.sun_path.iter_mut().enumerate().take(bytes.len()) {
            // SAFETY: within the string and its NUL.
            *to = unsafe { *chars.wrapping_add(at) };
        }
        let len = offset_of!(libc::sockaddr_un, sun_path) + bytes.len();
        // SAFETY: the address is valid for the length stated.
        checked(unsafe { libc::syscall(call, self.0, &raw const address, len) })?;
        Ok(())
    }

    /// Lets others connect.
    pub(crate) fn listen(&self) -> Result<(), Errno> {
        const WAITING: i32 = 16;
        // SAFETY: no pointers.
        checked(unsafe { libc::syscall(libc::SYS_listen, self.0, WAITING) })?;
        Ok(())
    }

    /// Waits for a connection.
    pub(crate) fn accept(&self) -> Result<Self, Errno> {
        let (null, flags) = (core::ptr::null_mut::<libc::c_void>(), libc::SOCK_CLOEXEC);
        // SAFETY: the address of the peer is not asked for.
        let fd = unsafe { libc::syscall(libc::SYS_accept4, self.0, null, null, flags) };
        checked(fd).map(Self::keep)
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Result<Peer, Errno> {
        let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        #[allow(clippy::cast_possible_truncation, reason = "it is 12")]
        let mut len = size_of::<libc::ucred>() as libc::socklen_t;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        // SAFETY: the structure is ours, and `len` its length.
        checked(unsafe {
            libc::syscall(
                libc::SYS_getsockopt,
                self.0,
                level,
                name,
                &raw mut found,
                &raw mut len,
            )
        })?;
        Ok(Peer { user: found.uid })
    }

    /// Has each transfer from now on fail with EAGAIN after `seconds`.
    pub(crate) fn set_patience(&self, seconds: i64) -> Result<(), Errno> {
        let time = libc::timeval { tv_sec: seconds, tv_usec: 0 };
        for name in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            let (level, len) = (libc::SOL_SOCKET, size_of::<libc::timeval>());
            // SAFETY: the structure is valid for its length.
            checked(unsafe {
                libc::syscall(libc::SYS_setsockopt, self.0, level, name, &raw const time, len)
            })?;
        }
        Ok(())
    }

    /// Receives into `buffer`; 0 at the end.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (to, len) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the buffer is ours for its length.
        let count = checked(unsafe { libc::syscall(libc::SYS_read, self.0, to, len) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Sends the first of `bytes`, without a signal where nobody listens any more; how many.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let (from, len, flags) = (bytes.as_ptr(), bytes.len(), libc::MSG_NOSIGNAL);
        let null = core::ptr::null::<libc::c_void>();
        // SAFETY: the bytes are readable for their length, and there is no address.
        let count = checked(unsafe {
            libc::syscall(libc::SYS_sendto, self.0, from, len, flags, null, 0usize)
        })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for open in &OPEN {
            let _ = open.compare_exchange(self.0, NONE, ORDER, ORDER);
        }
        // SAFETY: the descriptor is this socket's own and not used again.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// Ends all waiting at sockets: who waits is told so, and nobody connects any more.
pub(crate) fn shut_down_all() {
    for open in &OPEN {
        let fd = open.load(ORDER);
        if fd != NONE {
            // SAFETY: no pointers; whoever owns the descriptor has not closed it, or is told
            // nothing new by an error.
            unsafe { libc::syscall(libc::SYS_shutdown, fd, libc::SHUT_RDWR) };
        }
    }
}

/// Closes all sockets in a child made by fork, where nobody serves: clients of the parent's
/// would otherwise be taken by nobody once that has ended.
pub(crate) fn close_all_in_child() {
    for open in &OPEN {
        let fd = open.swap(NONE, ORDER);
        if fd != NONE {
            // SAFETY: the thread that owns the socket does not exist in the child.
            unsafe { libc::syscall(libc::SYS_close, fd) };
        }
    }
}

/// What is known of a file: its device and number, its kind and permissions (`st_mode`), and
/// its owner.  A symbolic link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) device: u64,
    pub(crate) number: u64,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
}

impl Status {
    /// That of `path`.
    pub(crate) fn of(path: &CStr) -> Result<Self, Errno> {
        // SAFETY: the structure is plain numbers, which lstat fills.
        let mut found: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the path ends in NUL and the structure is ours.
        if unsafe { libc::lstat(path.as_ptr(), &raw mut found) } != 0 {
            return Err(errno::last());
        }
        #[allow(clippy::useless_conversion, reason = "widths depend on the architecture")]
        Ok(Self {
            device: found.st_dev.into(),
            number: found.st_ino.into(),
            mode: found.st_mode.into(),
            owner: found.st_uid,
        })
    }

    /// Whether both are of one file, whatever its permissions and owner are by now.
    pub(crate) const fn is_file_of(&self, other: &Self) -> bool {
        self.device == other.device && self.number == other.number
    }

    /// Whether it is a socket.
    pub(crate) const fn is_socket(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFSOCK
    }
}

/// Removes the file `path`.
pub(crate) fn remove(path: &CStr) -> Result<(), Errno> {
    let at = libc::AT_FDCWD;
    // SAFETY: the path ends in NUL.
    checked(unsafe { libc::syscall(libc::SYS_unlinkat, at, path.as_ptr(), 0) })?;
    Ok(())
}
