//! Writes the patches of a batch: through windows or, where windows are refused and the program
//! allows it, through /proc/self/mem.  On an error all writes are undone.

#![allow(unsafe_code, reason = "writes code")]

use crate::runtime::error::Error;
use crate::runtime::patching::code::{self, Patch};
use crate::runtime::patching::record::Record;
use crate::runtime::patching::window::{self, Run};
use crate::runtime::sync::{Allowed, Method, SyncLevel, synchronise};
use crate::runtime::sys::file::File;
use crate::runtime::sys::thread;

/// The means by which patches are written.
#[derive(Debug)]
pub(crate) enum Writer {
    /// Stores to pages that are temporarily writable.
    Window,
    /// /proc/self/mem, through which the kernel writes pages that the process cannot write.
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
                // SAFETY: the page of the site is in a window.
                if unsafe { code::store(patch) } { Ok(()) } else { Err(Error::Changed { site }) }
            }
            Self::ProcMem(file) => file
                .write_at(patch.new.as_slice(), site as u64)
                .map_err(|errno| Error::Write { site, errno }),
        }
    }
}

/// Writes `patches`, which lie in `runs`, and makes them visible to this PE and, apart from the
/// final synchronisation, to the others.
///
/// # Errors
/// The first failure; the code is unchanged.
pub(crate) fn write_all(
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
        // The code is correct, but more pages are writable than before.  That is recorded; an
        // undo would need a window too.
        record.counts.open_pages += 1;
    }
    result.map(|()| writer)
}

/// /proc/self/mem, if it is allowed and can replace a window.
///
/// The kernel copies as memcpy does.  Four aligned bytes are one store on arm64 and riscv64.
/// Five bytes on x86-64 are not, so that another thread could execute half of a patch.
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
                // The site has just been written, so that it can be written again.
                let _ = writer.write(&patch.reversed());
            }
            code::make_visible(written);
            // Other threads may have fetched the new code.
            if !written.is_empty() {
                let _ = synchronise(level);
            }
            return Err(error);
        }
    }
    code::make_visible(patches);
    Ok(())
}
