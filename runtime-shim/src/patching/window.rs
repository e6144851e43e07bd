//! The pages of a batch, made writable for as long as it writes.
//!
//! They never lose the right to be executed: other threads are running there.  All windows
//! are opened before the first byte is written, or none is.

#![allow(unsafe_code, reason = "protections of code")]

use crate::patching::code::Patch;
use crate::error::{Error, WritePolicy};
use crate::patching::mappings::{Mapping, Mappings, PROT_BTI};
use crate::sys::page_vec::PageVec;
use crate::sys::errno::Errno;
use crate::sys::file::File;
use crate::sys::memory;

/// Pages between two that a batch writes, which it makes writable too rather than open two
/// windows: a system call costs more.
const BRIDGED_PAGES: usize = 16;

/// Pages with one protection that are made writable together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Address of the first page.
    start: usize,
    /// Bytes.
    len: usize,
    /// PROT_… flags that they have, and get back.
    protection: i32,
    /// The first site on them.
    site: usize,
}

/// The runs of pages of `patches`, which are in order of address.
///
/// # Errors
/// [`Error::NotCode`] for a site outside of all code.
pub(crate) fn plan(
    patches: &[Patch],
    mappings: &mut Mappings,
    runs: &mut PageVec<Run>,
) -> Result<(), Error> {
    runs.clear();
    let page = memory::page_size();
    for patch in patches {
        let (site, key) = (patch.site, patch.key);
        if let Some(last) = runs.as_mut_slice().last_mut()
            && site + patch.new.as_slice().len() <= last.start + last.len
        {
            continue;
        }
        let mapping = mappings.code_at(site)?.ok_or(Error::NotCode { site, key })?;
        // A site crosses no unit, and so no page.
        let start = site & !(page - 1);
        match runs.as_mut_slice().last_mut() {
            Some(last) if bridges(last, start, mapping, page) => {
                last.len = start + page - last.start;
            }
            _ => {
                let run = Run { start, len: page, protection: mapping.protection, site };
                runs.push(run).map_err(Error::NoMemory)?;
            }
        }
    }
    Ok(())
}

fn bridges(last: &Run, start: usize, mapping: Mapping, page: usize) -> bool {
    let gap = start.wrapping_sub(last.start + last.len);
    last.start >= mapping.start && gap <= BRIDGED_PAGES * page
}

/// Makes `runs` writable; on an error all are as they were.
///
/// # Errors
/// [`Error::Protect`] for the first that the kernel refuses.
pub(crate) fn open(runs: &[Run]) -> Result<(), Error> {
    for (index, run) in runs.iter().enumerate() {
        let writable = run.protection | libc::PROT_WRITE;
        // SAFETY: the pages are code of this process, and lose no right.
        if let Err(errno) = unsafe { memory::mprotect(run.start, run.len, writable) } {
            // Those before it were opened a moment ago, and what is closed now cannot need
            // more mappings than there were.
            close(runs.get(..index).unwrap_or_default())?;
            let (Run { start, len, site, .. }, policy) = (*run, policy(errno));
            return Err(Error::Protect { site, start, len, errno, policy });
        }
    }
    Ok(())
}

/// Gives `runs` back the protections they had.
///
/// # Errors
/// [`Error::Protect`] for the first that the kernel refuses; the others are closed.
pub(crate) fn close(runs: &[Run]) -> Result<(), Error> {
    let mut first = Ok(());
    for run in runs {
        // SAFETY: the pages are code of this process; only the batch needed to write there.
        if let Err(errno) = unsafe { memory::mprotect(run.start, run.len, run.protection) } {
            let (Run { start, len, site, .. }, policy) = (*run, policy(errno));
            first = first.and(Err(Error::Protect { site, start, len, errno, policy }));
        }
    }
    first
}

/// What probably makes mprotect fail with `errno`.
fn policy(errno: Errno) -> Option<WritePolicy> {
    match errno.0 {
        libc::ENOMEM | libc::EAGAIN => Some(WritePolicy::Limit),
        libc::EACCES if memory::denies_write_execute() => Some(WritePolicy::Mdwe),
        libc::EACCES if is_selinux_enforcing() => Some(WritePolicy::Selinux),
        libc::EPERM => Some(WritePolicy::Sealed),
        _ => None,
    }
}

fn is_selinux_enforcing() -> bool {
    let mut answer = [0];
    let file = File::open(c"/sys/fs/selinux/enforce");
    file.and_then(|file| file.read(&mut answer)).is_ok() && answer == *b"1"
}

/// Kept where it is known that pages are guarded: what mprotect is not told is lost.
const _: () = assert!(PROT_BTI & (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) == 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::InsnBytes;

    const CODE: i32 = libc::PROT_READ | libc::PROT_EXEC;

    fn planned<const N: usize>(sites: [usize; N], mappings: &[Mapping]) -> Result<PageVec<Run>, Error> {
        let insn = InsnBytes::from_word(0);
        let patches = sites.map(|site| Patch { site, key: 1, old: insn, new: insn });
        let mut known = Mappings::of(mappings);
        let mut runs = PageVec::new();
        plan(&patches, &mut known, &mut runs).map(|()| runs)
    }

    #[test]
    fn pages_are_joined_within_a_mapping() {
        let page = memory::page_size();
        // Outside of what this process has mapped, so that nothing but these is known.
        let base = 16 * page;
        let mapping = |from: usize, to: usize| Mapping {
            start: base + from * page,
            end: base + to * page,
            protection: CODE,
        };
        let mappings = [mapping(0, 100), mapping(100, 200)];
        let at = |number: usize| base + number * page + 8;
        let sites = [at(0), at(0) + 8, at(1), at(18), at(36), at(99), at(100), at(101)];
        let runs = planned(sites, &mappings).unwrap();
        let run = |from: usize, pages: usize| Run {
            start: base + from * page,
            len: pages * page,
            protection: CODE,
            site: at(from),
        };
        assert_eq!(runs.as_slice(), [run(0, 19), run(36, 1), run(99, 1), run(100, 2)]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "opens a file by a system call of its own")]
    fn a_site_outside_of_code_is_found() {
        let site = 16 * memory::page_size();
        let error = planned([site], &[]).unwrap_err();
        assert_eq!(error, Error::NotCode { site, key: 1 });
    }
}
