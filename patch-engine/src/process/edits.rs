//! Edits of a process's memory while all its threads are stopped: all of them or none.
//!
//! Code is written first, the words of keys last.  Should this process be killed in between,
//! the threads run on with some sites of the new state, each of which is whole, and the old
//! word: nothing tells the program that the key was flipped, `jlctl audit` lists the sites, and
//! the same command again completes the flip.  That cannot be had better: nobody is left to
//! take anything back.

use super::error::{MemoryDifference, ProcessError};
use super::memory::Memory;
use super::stop::Stopped;
use std::io;
use std::time::Duration;

/// Bytes that take the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryEdit {
    /// Where, at run time.
    pub address: u64,
    /// What must be there.
    pub old: Vec<u8>,
    /// What takes its place, as many bytes.
    pub new: Vec<u8>,
}

/// Edits in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryEdits {
    /// Instructions.
    pub code: Vec<MemoryEdit>,
    /// Words of keys.
    pub words: Vec<MemoryEdit>,
}

impl MemoryEdits {
    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.code.is_empty() && self.words.is_empty()
    }

    fn in_order(&self) -> impl Iterator<Item = &MemoryEdit> {
        self.code.iter().chain(&self.words)
    }
}

/// What a write to a process took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// How many threads were stopped.
    pub threads: usize,
    /// From the first that was asked to stop until the last went on.
    pub time: Duration,
}

/// Stops the process, verifies every old byte, writes `edits`, and lets the process go on.
/// `is_cancelled` is asked before each write.
///
/// # Errors
/// If the process cannot be stopped, has other bytes, or a write fails; all is as it was then,
/// but for [`ProcessError::Torn`].
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

/// That every old byte is where it must be.
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

/// That no thread goes on inside an instruction that changes: where one has stopped at a
/// foreign breakpoint, for example.
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
                // What a process that ended has instead of memory: nothing is left to take back.
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

/// Writes the old bytes of the first `count` edits, the last of them first; the first failure.
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
