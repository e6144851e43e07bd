//! UNIX sockets (unix(7)), as descriptors that are closed on drop and in the child of a fork.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{self, Errno, checked};
use core::ffi::CStr;
use core::mem::offset_of;
use core::sync::atomic::{AtomicI32, Ordering};

/// The longest path of a socket, in bytes, without its NUL.
pub(crate) const LONGEST_PATH: usize =
    size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path) - 1;

#[allow(clippy::cast_possible_truncation, reason = "it is 1")]
const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;

/// Most sockets that are open: the listening one, and a client's.
const MOST: usize = 2;
const NONE: i32 = -1;
/// Sequentially consistent with the flag that ends the serving thread: either the thread
/// observes the flag, or the thread that sets it observes the socket.
const ORDER: Ordering = Ordering::SeqCst;
static OPEN: [AtomicI32; MOST] = [const { AtomicI32::new(NONE) }; MOST];

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket(i32);

/// The process at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its effective user id at the time of the connection.
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

    /// Sets the permissions of the file that [`bind`](Self::bind) creates to `mode`, without those
    /// in the process's umask: `unix_bind`, Linux 6.12 `net/unix/af_unix.c`, takes the mode of
    /// the socket's own inode.
    pub(crate) fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        // SAFETY: no pointers.
        checked(unsafe { libc::syscall(libc::SYS_fchmod, self.0, mode) })?;
        Ok(())
    }

    /// Creates the file `path` as the address of this socket.
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
        // SAFETY: a structure of integers.
        let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
        address.sun_family = FAMILY;
        let chars = path.as_ptr();
        for (at, to) in address.sun_path.iter_mut().enumerate().take(bytes.len()) {
            // SAFETY: a byte of the string or its NUL.
            *to = unsafe { *chars.wrapping_add(at) };
        }
        let len = offset_of!(libc::sockaddr_un, sun_path) + bytes.len();
        // SAFETY: the address is valid for the given length.
        checked(unsafe { libc::syscall(call, self.0, &raw const address, len) })?;
        Ok(())
    }

    /// Accepts connections from now on.
    pub(crate) fn listen(&self) -> Result<(), Errno> {
        const WAITING: i32 = 16;
        // SAFETY: no pointers.
        checked(unsafe { libc::syscall(libc::SYS_listen, self.0, WAITING) })?;
        Ok(())
    }

    /// Waits for a connection.
    pub(crate) fn accept(&self) -> Result<Self, Errno> {
        let (null, flags) = (core::ptr::null_mut::<libc::c_void>(), libc::SOCK_CLOEXEC);
        // SAFETY: the address of the peer is not requested.
        let fd = unsafe { libc::syscall(libc::SYS_accept4, self.0, null, null, flags) };
        checked(fd).map(Self::keep)
    }

    /// The process at the other end.
    pub(crate) fn peer(&self) -> Result<Peer, Errno> {
        let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        #[allow(clippy::cast_possible_truncation, reason = "it is 12")]
        let mut len = size_of::<libc::ucred>() as libc::socklen_t;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        // SAFETY: the structure is valid for writes, and `len` is its length.
        checked(unsafe {
            libc::syscall(libc::SYS_getsockopt, self.0, level, name, &raw mut found, &raw mut len)
        })?;
        Ok(Peer { user: found.uid })
    }

    /// Makes each transfer from now on fail with EAGAIN after `seconds`.
    pub(crate) fn set_timeout(&self, seconds: i64) -> Result<(), Errno> {
        let time = libc::timeval { tv_sec: seconds, tv_usec: 0 };
        for name in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            let (level, len) = (libc::SOL_SOCKET, size_of::<libc::timeval>());
            // SAFETY: the structure is valid for reads of its length.
            checked(unsafe {
                libc::syscall(libc::SYS_setsockopt, self.0, level, name, &raw const time, len)
            })?;
        }
        Ok(())
    }

    /// Receives bytes into `buffer` and returns their number; 0 at the end.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (to, len) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the buffer is valid for writes of its length.
        let count = checked(unsafe { libc::syscall(libc::SYS_read, self.0, to, len) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Sends the first of `bytes` and returns their number.  Raises no SIGPIPE.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let (from, len, flags) = (bytes.as_ptr(), bytes.len(), libc::MSG_NOSIGNAL);
        let null = core::ptr::null::<libc::c_void>();
        // SAFETY: the bytes are valid for reads of their length; there is no address.
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
        // SAFETY: this socket owns the descriptor, which is not used again.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// Shuts down all sockets: a thread that waits for one gets an error, and no client connects
/// any more.
pub(crate) fn shut_down_all() {
    for open in &OPEN {
        let fd = open.load(ORDER);
        if fd != NONE {
            // SAFETY: no pointers.  If the owner has closed the descriptor meanwhile, the error
            // has no effect.
            unsafe { libc::syscall(libc::SYS_shutdown, fd, libc::SHUT_RDWR) };
        }
    }
}

/// Closes all sockets in the child of a fork, which has no serving thread: clients could
/// otherwise connect after the parent has ended, and would wait for ever.
pub(crate) fn close_all_in_child() {
    for open in &OPEN {
        let fd = open.swap(NONE, ORDER);
        if fd != NONE {
            // SAFETY: the thread that owned the socket does not exist in the child.
            unsafe { libc::syscall(libc::SYS_close, fd) };
        }
    }
}

/// The identity (device and inode), kind and permissions (`st_mode`), and owner of a file.
/// Symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
}

impl Status {
    /// The status of the file `path`.
    pub(crate) fn of(path: &CStr) -> Result<Self, Errno> {
        // SAFETY: a structure of integers, which lstat fills in.
        let mut found: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the path ends with NUL, and the structure is valid for writes.
        if unsafe { libc::lstat(path.as_ptr(), &raw mut found) } != 0 {
            return Err(errno::last());
        }
        #[allow(clippy::useless_conversion, reason = "widths depend on the architecture")]
        Ok(Self {
            device: found.st_dev.into(),
            inode: found.st_ino.into(),
            mode: found.st_mode.into(),
            owner: found.st_uid,
        })
    }

    /// Whether both are the status of the same file, regardless of permissions and owner.
    pub(crate) const fn is_file_of(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Whether the file is a socket.
    pub(crate) const fn is_socket(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFSOCK
    }
}

/// Removes the file `path`.
pub(crate) fn remove(path: &CStr) -> Result<(), Errno> {
    let at = libc::AT_FDCWD;
    // SAFETY: the path ends with NUL.
    checked(unsafe { libc::syscall(libc::SYS_unlinkat, at, path.as_ptr(), 0) })?;
    Ok(())
}
