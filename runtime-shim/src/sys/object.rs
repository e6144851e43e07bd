//! Which loaded object an address lies in.

#![allow(unsafe_code, reason = "the dynamic linker's list")]

use super::notes::notes_of;
use crate::note;
use crate::text::Text;
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
