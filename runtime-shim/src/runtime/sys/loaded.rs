//! The objects that the dynamic linker has loaded: the object at an address, and the notes of
//! all objects (dl_iterate_phdr(3)).

#![allow(unsafe_code, reason = "the dynamic linker's list")]

use super::text::Text;
use crate::link::note;
use core::ffi::CStr;
use core::slice;

/// The longest path, in bytes (PATH_MAX).
const PATH: usize = 4096;
/// The longest build id, in bytes: linkers compute 8, 16 or 20 bytes, and accept any value.
const BUILD_ID: usize = 64;

/// An executable or shared object of this process.  Its name and build id are copies, since
/// another thread may unload the object.
pub(crate) struct Loaded {
    name: Text<PATH>,
    build_id: Text<BUILD_ID>,
    /// The load bias: the difference between an address of this process and the SVMA.
    pub(crate) bias: usize,
}

impl Loaded {
    /// Its path; empty for the program itself.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.bytes()
    }

    /// Its build id; empty if it has none.
    pub(crate) fn build_id(&self) -> &[u8] {
        self.build_id.bytes()
    }
}

struct Search {
    address: usize,
    found: Option<Loaded>,
}

/// The object with `address` in one of its segments.
///
/// Takes the dynamic linker's lock: not for signal handlers.
pub(crate) fn containing(address: usize) -> Option<Loaded> {
    let mut search = Search { address, found: None };
    // SAFETY: `visit` gets a pointer to `search`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut libc::c_void,
) -> i32 {
    // SAFETY: `containing` passes a pointer to its `Search`.
    let search = unsafe { &mut *search.cast::<Search>() };
    // SAFETY: the dynamic linker passes a valid structure.
    let info = unsafe { &*info };
    // SAFETY: the program headers of the object, and their number.
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
    // SAFETY: the name ends with NUL and is valid while the object is loaded.
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

/// The notes in a PT_NOTE segment of a loaded object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes {
    /// The bytes of the segment.
    pub(crate) bytes: &'static [u8],
    /// Alignment of the notes, in bytes.
    pub(crate) align: usize,
}

#[cfg(feature = "capi")]
struct Walk<'a> {
    last: Option<u64>,
    loads: u64,
    take: &'a mut dyn FnMut(&Notes),
}

/// Calls `take` with each PT_NOTE segment of all loaded objects, and returns how many objects
/// the dynamic linker has loaded so far.  If that number is `last`, it calls nothing.
///
/// Takes the dynamic linker's lock: not for signal handlers.
#[cfg(feature = "capi")]
pub(crate) fn for_each_note_segment(last: Option<u64>, take: &mut dyn FnMut(&Notes)) -> u64 {
    let mut walk = Walk { last, loads: 0, take };
    // SAFETY: `take_notes` gets a pointer to `walk`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(take_notes), (&raw mut walk).cast()) };
    walk.loads
}

#[cfg(feature = "capi")]
unsafe extern "C" fn take_notes(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    walk: *mut libc::c_void,
) -> i32 {
    // SAFETY: `for_each_note_segment` passes a pointer to its `Walk`.
    let walk = unsafe { &mut *walk.cast::<Walk<'_>>() };
    // SAFETY: the dynamic linker passes a valid structure.
    let info = unsafe { &*info };
    walk.loads = info.dlpi_adds;
    if walk.last == Some(walk.loads) {
        return 1;
    }
    // SAFETY: the program headers of the object, and their number.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
        if let Some(notes) = notes_of(info, headers, header) {
            (walk.take)(&notes);
        }
    }
    0
}

/// The notes of the PT_NOTE segment `header`, one of `headers`, if they are in memory.
///
/// For callbacks of dl_iterate_phdr(3): the notes are valid during the callback only.
fn notes_of(
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
    // SAFETY: the bytes of a readable segment in memory.  It stays there while the dynamic
    // linker's lock is held, as it is during a callback.
    let bytes = unsafe { slice::from_raw_parts(start, len) };
    Some(Notes { bytes, align })
}

/// Whether a readable PT_LOAD segment contains the bytes of `header`: the notes of a core or of
/// a debug file may be in the file alone.
fn is_loaded(headers: &[libc::Elf64_Phdr], header: &libc::Elf64_Phdr) -> bool {
    headers.iter().any(|load| {
        let offset = header.p_vaddr.wrapping_sub(load.p_vaddr);
        load.p_type == libc::PT_LOAD
            && load.p_flags & libc::PF_R != 0
            && offset <= load.p_filesz
            && header.p_filesz <= load.p_filesz - offset
    })
}
