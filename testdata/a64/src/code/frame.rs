//! `.eh_frame`: where functions begin and end, in files without symbols.

/// Bytes of the one CIE.
const CIE_BYTES: u64 = 20;
/// Bytes of each FDE.
const FDE_BYTES: u64 = 20;
/// Bytes of the terminator.
const END_BYTES: u64 = 4;

/// Bytes of the section for `count` functions.
pub(super) fn size(functions: usize) -> u64 {
    CIE_BYTES + FDE_BYTES * functions as u64 + END_BYTES
}

/// The section at `address` for functions of these addresses and sizes. Pointers are four bytes
/// and PC-relative, as compilers emit them on arm64.
pub(super) fn bytes(address: u64, functions: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let word = |value: u64| u32::try_from(value).expect("a test image is small").to_le_bytes();
    bytes.extend(word(CIE_BYTES - 4));
    bytes.extend(word(0));
    // Version 1, "zR", code and data alignment 4 and -8, return address in x30, one byte of
    // augmentation: DW_EH_PE_pcrel | DW_EH_PE_sdata4; DW_CFA_def_cfa sp, 0.
    bytes.extend([1, b'z', b'R', 0, 4, 0x78, 30, 1, 0x1b, 0x0c, 31, 0]);
    for (start, size) in functions {
        let here = address + bytes.len() as u64;
        bytes.extend(word(FDE_BYTES - 4));
        bytes.extend(word(here + 4 - address));
        let distance = start.wrapping_sub(here + 8).cast_signed();
        bytes.extend(i32::try_from(distance).expect("a test image is small").to_le_bytes());
        bytes.extend(word(*size));
        // No augmentation; DW_CFA_nop.
        bytes.extend([0; 4]);
    }
    bytes.extend(word(0));
    bytes
}
