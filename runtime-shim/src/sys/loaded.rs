//! The objects that the dynamic linker has loaded: which one an address lies in, and their
//! notes.

#![allow(unsafe_code, reason = "the dynamic linker's list")]

use super::text::Text;
use crate::link::note;
use core::ffi::CStr;
use core::slice;

/// The longest path, in bytes (PATH_MAX).
const PATH: usize = 4096;
/// The longest build id, in bytes: linkers make 8, 16 or 20, and take any that is given.
const BUILD_ID: usize = 64;

/// An executable or shared object of this process: copies, since another thread may close it.
pub(crate) struct Loaded {
    name: Text<PATH>,
    build_id: Text<BUILD_ID>,
    /// What is added to the addresses in its file.
    pub(crate) bias: usize,
}

impl Loaded {
    /// Its path; empty for the program itself.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.bytes()
    }

    /// Its build id; empty where it has none.
    pub(crate) fn build_id(&self) -> &[u8] {
        self.build_id.bytes()
    }
}

struct Search {
    address: usize,
    found: Option<Loaded>,
}

/// The object whose segments hold `address`.
///
/// Takes the dynamic linker's lock: not for signal handlers.
pub(crate) fn containing(address: usize) -> Option<Loaded> {
    let mut search = Search { address, found: None };
    // SAFETY: the callback gets this very search, which lives as long.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut libc::c_void,
) -> i32 {
    // SAFETY: `containing` passes its search.
    let search = unsafe { &mut *search.cast::<Search>() };
    // SAFETY: the dynamic linker passes an object of its list.
    let info = unsafe { &*info };
    // SAFETY: the object's program headers, as many as it says.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    #[allow(clippy::cast_possible_truncation, reason = "addresses of 64 bits")]
    let holds = |header: &libc::Elf64_Phdr| {
        let offset = search.address.wrapping_sub(info.dlpi_addr as usize);
        header.p_type == libc::PT_LOAD
            && offset.wrapping_sub(header.p_vaddr as usize) < header.p_memsz as usize
    };
    if !headers.iter().any(holds) {
        return 0;
    }
    let (mut name, mut build_id) = (Text::new(), Text::new());
    // SAFETY: the name ends in NUL and stays while the object is loaded.
    unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes().iter().for_each(|byte| name.push(*byte));
    for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
        let Some(notes) = notes_of(info, headers, header) else { continue };
        if let Some(id) = note::build_id(notes.bytes, notes.align) {
            id.iter().for_each(|byte| build_id.push(*byte));
            break;
        }
    }
    #[allow(clippy::cast_possible_truncation, reason = "an address of 64 bits")]
    let bias = info.dlpi_addr as usize;
    search.found = Some(Loaded { name, build_id, bias });
    1
}

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
