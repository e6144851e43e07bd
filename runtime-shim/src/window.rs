//! The pages of a batch, made writable for as long as it writes.
//!
//! They never lose the right to be executed: other threads are running there.  All windows
//! are opened before the first byte is written, or none is.

#![allow(unsafe_code, reason = "protections of code")]

use crate::code::Patch;
use crate::error::{Error, WritePolicy};
use crate::maps::{Mapping, PROT_BTI, Parser};
use crate::page_vec::PageVec;
use crate::sys::errno::Errno;
use crate::sys::file::File;
use crate::sys;
use core::ffi::CStr;

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

/// What is known of the process's mappings that can be executed.
#[derive(Debug)]
pub(crate) struct Mappings {
    all: PageVec<Mapping>,
}

impl Mappings {
    pub(crate) const fn new() -> Self {
        Self { all: PageVec::new() }
    }

    /// They may have changed: objects came or went.
    pub(crate) fn forget(&mut self) {
        self.all.clear();
    }

    /// The mapping that can be read and executed at `address`, as it was when it was first
    /// asked for: reading all mappings for each batch would take longer than the batch.
    ///
    /// # Errors
    /// Where /proc/self cannot be read.
    pub(crate) fn code_at(&mut self, address: usize) -> Result<Option<Mapping>, Error> {
        if let Some(known) = self.known(address) {
            return Ok(Some(known));
        }
        self.read()?;
        Ok(self.known(address))
    }

    fn known(&self, address: usize) -> Option<Mapping> {
        let all = self.all.as_slice();
        let at = all.partition_point(|mapping| mapping.end <= address);
        all.get(at).copied().filter(|mapping| mapping.start <= address)
    }

    fn read(&mut self) -> Result<(), Error> {
        self.all.clear();
        let all = &mut self.all;
        read_mappings(c"/proc/self/maps", &mut |mapping| {
            let code = libc::PROT_READ | libc::PROT_EXEC;
            if mapping.protection & code != code { Ok(()) } else { all.push(mapping) }
        })?;
        if is_guard_possible() {
            // Only smaps says whether pages are guarded, and it takes longer.  The addresses
            // are those of maps, since an emulator may translate those alone.
            read_mappings(c"/proc/self/smaps", &mut |guarded| {
                let mappings = all.as_mut_slice().iter_mut();
                mappings
                    .filter(|mapping| guarded.start <= mapping.start && mapping.end <= guarded.end)
                    .for_each(|mapping| mapping.protection |= guarded.protection & PROT_BTI);
                Ok(())
            })?;
        }
        join(all);
        Ok(())
    }
}

/// Reads the file of mappings at `path`.
fn read_mappings(
    path: &CStr,
    take: &mut impl FnMut(Mapping) -> Result<(), Errno>,
) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::Mappings)?;
    let mut parser = Parser::new();
    let mut buffer = [0; 4096];
    loop {
        let count = file.read(&mut buffer).map_err(Error::Mappings)?;
        let text = buffer.get(..count).unwrap_or_default();
        if text.is_empty() {
            return parser.finish(take).map_err(Error::NoMemory);
        }
        parser.feed(text, take).map_err(Error::NoMemory)?;
    }
}

/// Makes neighbours with one protection one mapping.
fn join(all: &mut PageVec<Mapping>) {
    let mappings = all.as_mut_slice();
    let mut kept = 0;
    for index in 1..mappings.len() {
        let (last, mapping) = (mappings[kept], mappings[index]);
        if last.end == mapping.start && last.protection == mapping.protection {
            mappings[kept].end = mapping.end;
        } else {
            kept += 1;
            mappings[kept] = mapping;
        }
    }
    all.truncate(kept + 1);
}

/// Whether the machine has branch target identification (HWCAP2_BTI).
fn is_guard_possible() -> bool {
    const HWCAP2_BTI: libc::c_ulong = 1 << 17;
    // SAFETY: getauxval reads a vector that the kernel has made.
    cfg!(target_arch = "aarch64") && unsafe { libc::getauxval(libc::AT_HWCAP2) } & HWCAP2_BTI != 0
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
    let page = sys::page_size();
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
        if let Err(errno) = unsafe { sys::mprotect(run.start, run.len, writable) } {
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
        if let Err(errno) = unsafe { sys::mprotect(run.start, run.len, run.protection) } {
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
        libc::EACCES if sys::denies_write_execute() => Some(WritePolicy::Mdwe),
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
        let mut known = Mappings::new();
        mappings.iter().for_each(|mapping| known.all.push(*mapping).unwrap());
        let mut runs = PageVec::new();
        plan(&patches, &mut known, &mut runs).map(|()| runs)
    }

    #[test]
    fn pages_are_joined_within_a_mapping() {
        let page = sys::page_size();
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
        let site = 16 * sys::page_size();
        let error = planned([site], &[]).unwrap_err();
        assert_eq!(error, Error::NotCode { site, key: 1 });
    }

    #[test]
    #[cfg_attr(miri, ignore = "opens a file by a system call of its own")]
    fn finds_its_own_code() {
        let mut mappings = Mappings::new();
        let own = (finds_its_own_code as fn()) as usize;
        let mapping = mappings.code_at(own).unwrap().unwrap();
        assert!((mapping.start..mapping.end).contains(&own));
        assert_eq!(mapping.protection & !PROT_BTI, CODE);
        let data = (&raw const mappings).addr();
        assert_eq!(mappings.code_at(data), Ok(None));
    }
}
