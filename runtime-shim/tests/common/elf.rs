//! The jump table in this program's file, read without the runtime's code.

use super::sites::Site;
use jlctl_shim::abi::RelativeEntry;
use std::ffi::CStr;
use std::fs;

/// The sites of the jump table in the file, as SVMAs.
///
/// Entries are displacements within one object, so that no relocation changes them.
pub(crate) fn table() -> Vec<Site> {
    let file = fs::read("/proc/self/exe").expect("/proc is mounted");
    let (address, bytes) = section(&file, c"__jump_table").expect("a jump table");
    let entries = bytes.chunks_exact(RelativeEntry::SIZE).enumerate();
    entries.map(|(index, entry)| site(entry, address + index * RelativeEntry::SIZE)).collect()
}

fn site(entry: &[u8], address: usize) -> Site {
    let displacement = |at| i32::from_le_bytes(array(entry, at)) as usize;
    let key = (address + 8).wrapping_add(i64::from_le_bytes(array(entry, 8)) as usize);
    Site {
        code: address.wrapping_add(displacement(0)),
        target: (address + 4).wrapping_add(displacement(4)),
        key: key & !3,
        is_likely: key & 1 != 0,
    }
}

/// Address and contents of a section; ELF64, little-endian (gABI, "Sections").
fn section<'a>(file: &'a [u8], name: &CStr) -> Option<(usize, &'a [u8])> {
    assert_eq!(file[..6], *b"\x7fELF\x02\x01");
    let u16_at = |at| u16::from_le_bytes(array(file, at)) as usize;
    let u32_at = |at| u32::from_le_bytes(array(file, at)) as usize;
    let u64_at = |at| u64::from_le_bytes(array(file, at)) as usize;
    let (headers, size, count, names) = (u64_at(0x28), u16_at(0x3a), u16_at(0x3c), u16_at(0x3e));
    let header = |index| headers + index * size;
    let names = u64_at(header(names) + 0x18);
    (0..count).map(header).find_map(|header| {
        let found = CStr::from_bytes_until_nul(&file[names + u32_at(header)..]).ok()?;
        let (address, offset, len) =
            (u64_at(header + 0x10), u64_at(header + 0x18), u64_at(header + 0x20));
        (found == name).then(|| (address, &file[offset..offset + len]))
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}
