//! The memory of another process: /proc/PID/mem (proc_pid_mem(5)).
//!
//! Writes bypass the protection of pages. The kernel gives the process a private copy of a page
//! that is shared with its file, and makes instruction caches coherent with the write
//! (`access_remote_vm` and `copy_to_user_page`, Linux 6.12 `mm/memory.c`; on arm64
//! `arch/arm64/mm/flush.c`).

use super::access::refused;
use super::error::ProcessError;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The memory of a process, by addresses at run time.
#[derive(Debug)]
pub struct Memory {
    pid: i32,
    file: File,
}

impl Memory {
    /// Opens the memory of `pid` for reading, and for writing if `is_written`.
    ///
    /// # Errors
    /// If there is no such process, or access to it is denied.
    pub fn open(pid: i32, is_written: bool) -> Result<Self, ProcessError> {
        let mut options = File::options();
        let file = options.read(true).write(is_written).open(format!("/proc/{pid}/mem"));
        let what = if is_written { "write its memory" } else { "read its memory" };
        file.map(|file| Self { pid, file }).map_err(|error| refused(pid, what, error))
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Reads `len` bytes at `address`.
    ///
    /// # Errors
    /// If the bytes are not mapped, or the process has ended.
    pub fn read(&self, address: u64, len: usize) -> Result<Vec<u8>, ProcessError> {
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, address) {
            Ok(()) => Ok(bytes),
            // Memory of a process that has ended.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ProcessError::Gone { pid: self.pid })
            }
            Err(error) => {
                let what = format!("read {len} bytes at {address:#x}");
                Err(ProcessError::System { pid: self.pid, what, error })
            }
        }
    }

    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, address)
    }
}
