//! Windows: the pages of a batch, writable while the batch writes.
//!
//! Pages stay executable throughout, since other threads execute them.  All windows are opened
//! before the first byte is written, or none is.

#![allow(unsafe_code, reason = "protections of code")]

use crate::runtime::error::{Error, WritePolicy};
use crate::runtime::patching::code::Patch;
use crate::runtime::patching::mappings::{Mapping, Mappings, PROT_BTI};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::file::File;
use crate::runtime::sys::memory;
use crate::runtime::sys::page_vec::PageVec;

/// The most pages between two sites that one window spans: opening them with the others costs
/// less than the system calls of a second window.
const BRIDGED_PAGES: usize = 16;

/// A run of pages with one protection, made writable together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Address of the first page.
    start: usize,
    /// Length in bytes.
    len: usize,
    /// PROT_… flags of the pages before and after the batch.
    protection: i32,
    /// The first site on these pages.
    site: usize,
}

/// Determines the runs of pages of `patches`, which are sorted by address.
///
/// # Errors
/// [`Error::NotCode`] for a site outside code.
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
        // A site crosses no boundary of a unit, and so none of a page.
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

/// Makes `runs` writable.  On an error all have their previous protection.
///
/// # Errors
/// [`Error::Protect`] for the first run that the kernel refuses.
pub(crate) fn open(runs: &[Run]) -> Result<(), Error> {
    for (index, run) in runs.iter().enumerate() {
        let writable = run.protection | libc::PROT_WRITE;
        // SAFETY: the pages are code of this process, and no access is forbidden.
        if let Err(errno) = unsafe { memory::mprotect(run.start, run.len, writable) } {
            // Closing the runs before it needs no more mappings than existed before they were
            // opened.
            close(runs.get(..index).unwrap_or_default())?;
            let (Run { start, len, site, .. }, policy) = (*run, policy(errno));
            return Err(Error::Protect { site, start, len, errno, policy });
        }
    }
    Ok(())
}

/// Restores the protection of `runs`.
///
/// # Errors
/// [`Error::Protect`] for the first run that the kernel refuses; the others are closed.
pub(crate) fn close(runs: &[Run]) -> Result<(), Error> {
    let mut first = Ok(());
    for run in runs {
        // SAFETY: the pages are code of this process, which only the batch writes.
        if let Err(errno) = unsafe { memory::mprotect(run.start, run.len, run.protection) } {
            let (Run { start, len, site, .. }, policy) = (*run, policy(errno));
            first = first.and(Err(Error::Protect { site, start, len, errno, policy }));
        }
    }
    first
}

/// The policy that probably makes mprotect fail with `errno`.
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

/// PROT_BTI is a flag of its own, which mprotect would clear if a run did not keep it.
const _: () = assert!(PROT_BTI & (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) == 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::InsnBytes;

    const CODE: i32 = libc::PROT_READ | libc::PROT_EXEC;

    fn planned<const N: usize>(
        sites: [usize; N],
        mappings: &[Mapping],
    ) -> Result<PageVec<Run>, Error> {
        let insn = InsnBytes::from_word(0);
        let patches = sites.map(|site| Patch { site, key: 1, old: insn, new: insn });
        let mut known = Mappings::of(mappings);
        let mut runs = PageVec::new();
        plan(&patches, &mut known, &mut runs).map(|()| runs)
    }

    #[test]
    fn pages_of_one_mapping_share_a_window() {
        let page = memory::page_size();
        // Addresses that this process has not mapped.
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
    #[cfg_attr(miri, ignore = "Miri does not support the system calls")]
    fn a_site_outside_code_is_refused() {
        let site = 16 * memory::page_size();
        let error = planned([site], &[]).unwrap_err();
        assert_eq!(error, Error::NotCode { site, key: 1 });
    }
}
