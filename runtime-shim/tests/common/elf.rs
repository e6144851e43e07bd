//! The jump table in this program's file, read without the runtime and what it depends on.

use super::sites::Site;
use jlctl_shim::abi::RelativeEntry;
use std::ffi::CStr;
use std::fs;

/// The entries of the file, at the addresses that the file states.
///
/// They are displacements within one object, so that no relocation changes them.
pub(crate) fn table() -> Vec<Site> {
    let file = fs::read("/proc/self/exe").expect("/proc is mounted");
    let (address, bytes) = section(&file, c"__jump_table").expect("a jump table");
    let entries = bytes.chunks_exact(RelativeEntry::SIZE).enumerate();
    entries.map(|(index, entry)| site(entry, address + index * RelativeEntry::SIZE)).collect()
}

fn site(entry: &[u8], address: usize) -> Site {
    let half = |at| i32::from_le_bytes(array(entry, at)) as usize;
    let key = (address + 8).wrapping_add(i64::from_le_bytes(array(entry, 8)) as usize);
    Site {
        code: address.wrapping_add(half(0)),
        target: (address + 4).wrapping_add(half(4)),
        key: key & !3,
        is_likely: key & 1 != 0,
    }
}

/// Address and contents of a section; ELF64, little-endian (gABI, "Sections").
fn section<'a>(file: &'a [u8], name: &CStr) -> Option<(usize, &'a [u8])> {
    assert_eq!(file[..6], *b"\x7fELF\x02\x01");
    let half = |at| u16::from_le_bytes(array(file, at)) as usize;
    let word = |at| u32::from_le_bytes(array(file, at)) as usize;
    let long = |at| u64::from_le_bytes(array(file, at)) as usize;
    let (headers, size, count, names) = (long(0x28), half(0x3a), half(0x3c), half(0x3e));
    let header = |index| headers + index * size;
    let names = long(header(names) + 0x18);
    (0..count).map(header).find_map(|header| {
        let found = CStr::from_bytes_until_nul(&file[names + word(header)..]).ok()?;
        let (address, offset, len) =
            (long(header + 0x10), long(header + 0x18), long(header + 0x20));
        (found == name).then(|| (address, &file[offset..offset + len]))
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}
