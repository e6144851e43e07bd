//! Writes a batch's patches: through windows, or where that is refused and it is allowed, by
//! /proc/self/mem.  On an error everything written is taken back.

#![allow(unsafe_code, reason = "writes code")]

use crate::patching::code::{self, Patch};
use crate::error::Error;
use crate::patching::record::Record;
use crate::sync::Allowed;
use crate::sync::{Method, SyncLevel, synchronise};
use crate::sys::file::File;
use crate::sys::thread;
use crate::patching::window::{self, Run};

/// How patches are written.
#[derive(Debug)]
pub(crate) enum Writer {
    /// Into pages that are writable for a while.
    Window,
    /// By /proc/self/mem, which writes what the process itself may not.
    ProcMem(File),
}

impl Writer {
    pub(crate) const fn opens_windows(&self) -> bool {
        matches!(self, Self::Window)
    }

    fn write(&self, patch: &Patch) -> Result<(), Error> {
        let site = patch.site;
        match self {
            Self::Window => {
                // SAFETY: its page is in a window.
                if unsafe { code::store(patch) } { Ok(()) } else { Err(Error::Changed { site }) }
            }
            Self::ProcMem(file) => file
                .write_at(patch.new.as_slice(), site as u64)
                .map_err(|errno| Error::Write { site, errno }),
        }
    }
}

/// Writes `patches`, which lie in `runs`, and makes them visible to this PE and, but for the
/// sync, to the others.
///
/// # Errors
/// What failed; the code is as it was.
pub(crate) fn all(
    patches: &[Patch],
    runs: &[Run],
    level: SyncLevel,
    allowed: Allowed,
    record: &mut Record,
) -> Result<Writer, Error> {
    let writer = match window::open(runs) {
        Ok(()) => Writer::Window,
        Err(refused) => Writer::ProcMem(proc_mem(level, allowed).ok_or(refused)?),
    };
    let result = write(&writer, patches, level);
    if writer.opens_windows() && window::close(runs).is_err() {
        // The code is right and more pages than before are writable: worth a report, and no
        // reason to take the code back, which would need a window too.
        record.counts.open_pages += 1;
    }
    result.map(|()| writer)
}

/// /proc/self/mem, where it can stand in for a window.
///
/// The kernel copies as memcpy does.  Four aligned bytes are one store then, on arm64 and
/// riscv64; five on x86-64 are not, so that other threads could execute a half.
fn proc_mem(level: SyncLevel, allowed: Allowed) -> Option<File> {
    let is_at_once = !cfg!(target_arch = "x86_64") || level.method() == Method::SingleThread;
    let is_allowed = allowed.proc_mem && (is_at_once || is_only_thread());
    is_allowed.then(|| File::open_to_write(c"/proc/self/mem").ok()).flatten()
}

fn is_only_thread() -> bool {
    thread::count() == Ok(1)
}

fn write(writer: &Writer, patches: &[Patch], level: SyncLevel) -> Result<(), Error> {
    for (index, patch) in patches.iter().enumerate() {
        if let Err(error) = writer.write(patch) {
            let written = patches.get(..index).unwrap_or_default();
            for patch in written {
                // What was stored a moment ago can be stored again.
                let _ = writer.write(&patch.reversed());
            }
            code::make_visible(written);
            // Other threads may have fetched some of it.
            if !written.is_empty() {
                let _ = synchronise(level);
            }
            return Err(error);
        }
    }
    code::make_visible(patches);
    Ok(())
}
