//! Which loaded object an address lies in.

#![allow(unsafe_code, reason = "the dynamic linker's list")]

use core::ffi::CStr;
use core::slice;

/// An executable or shared object of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded {
    /// Its path; empty for the program itself.
    pub(crate) name: &'static [u8],
    /// What is added to the addresses in its file.
    pub(crate) bias: usize,
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
    // SAFETY: the name ends in NUL and stays while the object is loaded.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes();
    #[allow(clippy::cast_possible_truncation, reason = "an address of 64 bits")]
    let bias = info.dlpi_addr as usize;
    search.found = Some(Loaded { name, bias });
    1
}
