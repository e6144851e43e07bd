//! Edits of a process's memory while all its threads are stopped: all edits or none.
//!
//! Code is written first, and the words of keys last. If this process is killed in between, the
//! threads go on with the old words and with some sites in the new state, each of which is a whole
//! instruction: the program does not see a flip, `jlctl audit` lists the sites, and the same
//! command completes the flip. No process is left to take the writes back.

use super::error::{MemoryDifference, ProcessError};
use super::memory::Memory;
use super::stop::Stopped;
use std::io;
use std::time::Duration;

/// Bytes of memory and those that replace them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryEdit {
    /// Address of the first byte, at run time.
    pub address: u64,
    /// The bytes that must be in memory.
    pub old: Vec<u8>,
    /// The bytes that replace them, as many as `old`.
    pub new: Vec<u8>,
}

/// Edits in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryEdits {
    /// Edits of instructions.
    pub code: Vec<MemoryEdit>,
    /// Edits of the words of keys.
    pub words: Vec<MemoryEdit>,
}

impl MemoryEdits {
    /// Whether there are no edits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.code.is_empty() && self.words.is_empty()
    }

    fn in_order(&self) -> impl Iterator<Item = &MemoryEdit> {
        self.code.iter().chain(&self.words)
    }
}

/// The pause that a write caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Number of threads that were stopped.
    pub threads: usize,
    /// Time from the first request to stop until the last thread went on.
    pub time: Duration,
}

/// Stops the process, verifies every old byte, writes `edits`, and resumes the process.
/// `is_cancelled` is polled before each write.
///
/// # Errors
/// If the process cannot be stopped, has other bytes, or a write fails. Memory is unchanged then,
/// except for [`ProcessError::Torn`].
pub fn apply(
    memory: &Memory,
    edits: &MemoryEdits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Pause, ProcessError> {
    let stopped = Stopped::stop(memory.pid())?;
    verify(memory, edits)?;
    outside_of_sites(&stopped, edits)?;
    write(memory, edits, is_cancelled)?;
    let threads = stopped.threads();
    Ok(Pause { threads, time: stopped.resume() })
}

/// Verifies that all old bytes are in memory.
fn verify(memory: &Memory, edits: &MemoryEdits) -> Result<(), ProcessError> {
    let mut differences = Vec::new();
    for edit in edits.in_order() {
        let found = memory.read(edit.address, edit.old.len())?;
        if found != edit.old {
            let expected = edit.old.clone();
            differences.push(MemoryDifference { address: edit.address, expected, found });
        }
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(ProcessError::Differs { pid: memory.pid(), differences }),
    }
}

/// Verifies that no thread resumes inside an instruction that changes, as one that has stopped at a
/// foreign breakpoint may.
fn outside_of_sites(stopped: &Stopped, edits: &MemoryEdits) -> Result<(), ProcessError> {
    for (thread, pc) in stopped.program_counters()? {
        let is_inside =
            |edit: &&MemoryEdit| pc > edit.address && pc - edit.address < edit.new.len() as u64;
        if let Some(edit) = edits.code.iter().find(is_inside) {
            let (pid, site) = (stopped.pid(), edit.address);
            return Err(ProcessError::InsideSite { pid, thread, pc, site });
        }
    }
    Ok(())
}

fn write(
    memory: &Memory,
    edits: &MemoryEdits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), ProcessError> {
    let pid = memory.pid();
    for (done, edit) in edits.in_order().enumerate() {
        let failed = match is_cancelled() {
            true => None,
            false => match memory.write(edit.address, &edit.new) {
                Ok(()) => continue,
                // Memory of a process that has ended: there is nothing to take back.
                Err(error) if error.kind() == io::ErrorKind::WriteZero => {
                    return Err(ProcessError::Gone { pid });
                }
                Err(error) => Some(error),
            },
        };
        // The edit that failed may have been written in part.
        let undone = take_back(memory, edits, done + 1);
        let address = edit.address;
        return Err(match (undone, failed) {
            (Err((address, error)), _) => ProcessError::Torn { pid, address, error },
            (Ok(()), Some(error)) => ProcessError::TakenBack { pid, address, error },
            (Ok(()), None) => ProcessError::Interrupted { pid },
        });
    }
    Ok(())
}

/// Restores the old bytes of the first `count` edits, in reverse order; returns the first failure.
fn take_back(memory: &Memory, edits: &MemoryEdits, count: usize) -> Result<(), (u64, io::Error)> {
    let written: Vec<&MemoryEdit> = edits.in_order().take(count).collect();
    let mut result = Ok(());
    for edit in written.into_iter().rev() {
        if let Err(error) = memory.write(edit.address, &edit.old)
            && result.is_ok()
        {
            result = Err((edit.address, error));
        }
    }
    result
}
