//! Notes of loaded objects.

#![allow(unsafe_code, reason = "the dynamic linker's list")]

use core::slice;

/// A PT_NOTE segment of a loaded object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes {
    /// Its bytes.
    pub(crate) bytes: &'static [u8],
    /// What its notes are aligned to, in bytes.
    pub(crate) align: usize,
}

#[cfg(feature = "capi")]
struct Walk<'a> {
    last: Option<u64>,
    loads: u64,
    take: &'a mut dyn FnMut(&Notes),
}

#[cfg(feature = "capi")]
/// Calls `take` with each PT_NOTE segment of all loaded objects, unless the dynamic linker has
/// loaded `last` objects so far and no more; how many it has.
///
/// Takes the dynamic linker's lock: not for signal handlers.
pub(crate) fn for_each_note_segment(last: Option<u64>, take: &mut dyn FnMut(&Notes)) -> u64 {
    let mut walk = Walk { last, loads: 0, take };
    // SAFETY: the callback gets this very walk, which lives as long.
    unsafe { libc::dl_iterate_phdr(Some(take_notes), (&raw mut walk).cast()) };
    walk.loads
}

#[cfg(feature = "capi")]
unsafe extern "C" fn take_notes(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    walk: *mut libc::c_void,
) -> i32 {
    // SAFETY: `for_each_note_segment` passes its walk.
    let walk = unsafe { &mut *walk.cast::<Walk<'_>>() };
    // SAFETY: the dynamic linker passes an object of its list.
    let info = unsafe { &*info };
    walk.loads = info.dlpi_adds;
    if walk.last == Some(walk.loads) {
        return 1;
    }
    // SAFETY: the object's program headers, as many as it says.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
        if let Some(notes) = notes_of(info, headers, header) {
            (walk.take)(&notes);
        }
    }
    0
}

/// The notes that `header`, a PT_NOTE one of `headers`, leads to, if they are in memory.
///
/// For callbacks of dl_iterate_phdr(3): they stay there no longer than that.
pub(super) fn notes_of(
    info: &libc::dl_phdr_info,
    headers: &[libc::Elf64_Phdr],
    header: &libc::Elf64_Phdr,
) -> Option<Notes> {
    if !is_loaded(headers, header) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "addresses of 64 bits")]
    let (start, len, align) = (
        info.dlpi_addr.wrapping_add(header.p_vaddr) as usize,
        header.p_filesz as usize,
        header.p_align as usize,
    );
    let start = core::ptr::with_exposed_provenance::<u8>(start);
    // SAFETY: the bytes of a readable segment that is in memory, and stays there while the
    // dynamic linker's lock is held, as it is during a callback.
    let bytes = unsafe { slice::from_raw_parts(start, len) };
    Some(Notes { bytes, align })
}

/// Whether the bytes of `header` are in memory, readable: a core's or a debug file's notes
/// need not be.
fn is_loaded(headers: &[libc::Elf64_Phdr], header: &libc::Elf64_Phdr) -> bool {
    headers.iter().any(|load| {
        let offset = header.p_vaddr.wrapping_sub(load.p_vaddr);
        load.p_type == libc::PT_LOAD
            && load.p_flags & libc::PF_R != 0
            && offset <= load.p_filesz
            && header.p_filesz <= load.p_filesz - offset
    })
}
