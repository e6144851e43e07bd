//! Files, as descriptors that are closed on drop.

#![allow(unsafe_code, reason = "system calls")]

use super::errno::{Errno, checked};
use core::ffi::CStr;

/// An open file.
#[derive(Debug)]
pub(crate) struct File(i32);

impl File {
    /// Opens `path` for reading.
    pub(crate) fn open(path: &CStr) -> Result<Self, Errno> {
        Self::with(path, libc::O_RDONLY)
    }

    /// Opens `path` for reading and writing.
    pub(crate) fn open_to_write(path: &CStr) -> Result<Self, Errno> {
        Self::with(path, libc::O_RDWR)
    }

    /// Creates or truncates `path`, readable by all users and writable by its owner.  Does not
    /// follow a symbolic link.
    pub(crate) fn create(path: &CStr) -> Result<Self, Errno> {
        Self::with(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW)
    }

    fn with(path: &CStr, flags: i32) -> Result<Self, Errno> {
        let (at, flags, mode) = (libc::AT_FDCWD, flags | libc::O_CLOEXEC, 0o644);
        // SAFETY: `path` ends with NUL.  The system call is used since open(3) is a
        // cancellation point.
        let result = unsafe { libc::syscall(libc::SYS_openat, at, path.as_ptr(), flags, mode) };
        checked(result).map(|fd| Self(i32::try_from(fd).unwrap_or(-1)))
    }

    /// Reads into `buffer`; 0 at the end of the file.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            let (to, len) = (buffer.as_mut_ptr(), buffer.len());
            // SAFETY: the buffer is valid for writes of its length.
            match checked(unsafe { libc::syscall(libc::SYS_read, self.0, to, len) }) {
                Err(Errno(libc::EINTR)) => {}
                result => return result.map(|count| usize::try_from(count).unwrap_or(0)),
            }
        }
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// EIO if the file ends before `buffer` is full.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Errno> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let (to, len, at) = (rest.as_mut_ptr(), rest.len(), offset.wrapping_add(done as u64));
            // SAFETY: the buffer is valid for writes of its length.
            let result = unsafe { libc::syscall(libc::SYS_pread64, self.0, to, len, at) };
            match checked(result) {
                Ok(0) => return Err(Errno(libc::EIO)),
                Ok(count) => done += usize::try_from(count).unwrap_or(0),
                Err(Errno(libc::EINTR)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let (from, len) = (bytes.as_ptr(), bytes.len());
            // SAFETY: the bytes are valid for reads of their length.
            match checked(unsafe { libc::syscall(libc::SYS_write, self.0, from, len) }) {
                Ok(0) => return Err(Errno(libc::EIO)),
                Ok(count) => {
                    let count = usize::try_from(count).unwrap_or(0);
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(Errno(libc::EINTR)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes `bytes` at `offset` by one system call.
    ///
    /// # Errors
    /// EIO if the kernel wrote only some of them.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        let (from, len) = (bytes.as_ptr(), bytes.len());
        // SAFETY: the bytes are valid for reads of their length.
        let result = unsafe { libc::syscall(libc::SYS_pwrite64, self.0, from, len, offset) };
        let written = checked(result)?;
        if usize::try_from(written) == Ok(len) { Ok(()) } else { Err(Errno(libc::EIO)) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: this file owns the descriptor, which is not used again.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// Writes `line` to standard error and ignores errors.
pub(crate) fn write_stderr(line: &[u8]) {
    // SAFETY: the bytes are valid for reads of their length.
    let _ = unsafe { libc::syscall(libc::SYS_write, 2, line.as_ptr(), line.len()) };
}
