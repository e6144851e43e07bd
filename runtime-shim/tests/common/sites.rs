//! The jump table and the sites of this program in memory, read without the runtime's code.

use jlctl_shim::Key;
use jlctl_shim::abi::{JumpLabelType, RelativeEntry};
use std::ptr;
use std::slice;

unsafe extern "C" {
    #[link_name = "__start___jump_table"]
    static START: RelativeEntry;
    #[link_name = "__stop___jump_table"]
    static STOP: RelativeEntry;
}

/// The table of this program, by the bounds that the linker defines.
pub(crate) fn table() -> &'static [RelativeEntry] {
    let (start, stop) = (&raw const START, &raw const STOP);
    let count = (stop.addr() - start.addr()) / RelativeEntry::SIZE;
    // SAFETY: the linker's bounds of one section.
    unsafe { slice::from_raw_parts(start, count) }
}

/// An entry, resolved to addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) code: usize,
    pub(crate) target: usize,
    pub(crate) key: usize,
    /// Whether `static_branch_likely!` defines the site.
    pub(crate) is_likely: bool,
}

/// Resolves `entry`.
pub(crate) fn resolve(entry: &RelativeEntry) -> Site {
    let field = |offset: usize| ptr::from_ref(entry).addr() + offset;
    let key = field(8).wrapping_add(entry.key as usize);
    Site {
        code: field(0).wrapping_add(entry.code as usize),
        target: field(4).wrapping_add(entry.target as usize),
        key: key & !3,
        is_likely: key & 1 != 0,
    }
}

/// The entries of `key` in this program.
pub(crate) fn entries_of(key: &Key) -> Vec<&'static RelativeEntry> {
    let address = ptr::from_ref(key).addr();
    table().iter().filter(|entry| resolve(entry).key == address).collect()
}

/// The sites of `key` in this program.
pub(crate) fn sites_of(key: &Key) -> Vec<Site> {
    entries_of(key).into_iter().map(resolve).collect()
}

/// The length of a site in bytes.
pub(crate) const SITE_BYTES: usize = if cfg!(target_arch = "x86_64") { 5 } else { 4 };

/// The bytes at a site.
pub(crate) fn bytes_at(code: usize) -> [u8; SITE_BYTES] {
    let from = ptr::with_exposed_provenance::<[u8; SITE_BYTES]>(code);
    // SAFETY: a site of this program, whose code is readable.
    unsafe { from.read_volatile() }
}

/// The kind of the instruction at `code`, and the target of a jump.
///
/// # Panics
/// If the instruction is neither the NOP nor the jump of a site.
pub(crate) fn decode(code: usize) -> (JumpLabelType, Option<usize>) {
    decode_bytes(bytes_at(code), code)
}

/// Intel SDM volume 2, "NOP", "JMP".
#[cfg(target_arch = "x86_64")]
fn decode_bytes(bytes: [u8; SITE_BYTES], code: usize) -> (JumpLabelType, Option<usize>) {
    match bytes {
        [0x0f, 0x1f, 0x44, 0x00, 0x00] => (JumpLabelType::Nop, None),
        [0xe9, a, b, c, d] => {
            let displacement = i32::from_le_bytes([a, b, c, d]) as isize;
            (JumpLabelType::Jmp, Some((code + 5).wrapping_add_signed(displacement)))
        }
        _ => panic!("not a site at {code:#x}: {bytes:02x?}"),
    }
}

/// Arm ARM (DDI 0487) C6.2, "NOP", "B".
#[cfg(target_arch = "aarch64")]
fn decode_bytes(bytes: [u8; SITE_BYTES], code: usize) -> (JumpLabelType, Option<usize>) {
    match u32::from_le_bytes(bytes) {
        0xd503_201f => (JumpLabelType::Nop, None),
        word if word >> 26 == 0b00_0101 => {
            // imm26 in words, sign-extended.
            let displacement = ((word << 6).cast_signed() >> 4) as isize;
            (JumpLabelType::Jmp, Some(code.wrapping_add_signed(displacement)))
        }
        word => panic!("not a site at {code:#x}: {word:08x}"),
    }
}

/// RISC-V unprivileged ISA, 2.4 and 2.5: `addi x0, x0, 0` and `jal x0`.
#[cfg(target_arch = "riscv64")]
fn decode_bytes(bytes: [u8; SITE_BYTES], code: usize) -> (JumpLabelType, Option<usize>) {
    match u32::from_le_bytes(bytes) {
        0x0000_0013 => (JumpLabelType::Nop, None),
        word if word & 0xfff == 0x6f => {
            let sign = (word.cast_signed() >> 31 << 20) as isize;
            let middle = (word & 0x000f_f000) | (word >> 9 & 0x800) | (word >> 20 & 0x7fe);
            (JumpLabelType::Jmp, Some(code.wrapping_add_signed(sign | middle as isize)))
        }
        word => panic!("not a site at {code:#x}: {word:08x}"),
    }
}

/// Asserts that each site of `key` holds the instruction that the state of the key demands.
pub(crate) fn assert_follow(key: &Key) {
    for site in sites_of(key) {
        let wanted = JumpLabelType::wanted(key.is_enabled(), site.is_likely);
        let target = (wanted == JumpLabelType::Jmp).then_some(site.target);
        assert_eq!(decode(site.code), (wanted, target), "{site:x?}");
    }
}
