//! x86-64: the NOPs and JMPs of two and five bytes.  Intel SDM volume 2, "JMP" and "NOP".
//!
//! The NOPs that a site may hold are those of Linux 6.12 `arch/x86/include/asm/nops.h`
//! (x86_nops of 2 and 5).  `arch/x86/kernel/jump_label.c` takes the length of a site from the
//! instruction that the site holds.

use super::encoding::{EncodeError, InsnBytes};

/// Bytes of a short site: JMP rel8.
pub const SHORT_BYTES: usize = 2;
/// Bytes of a long site: JMP rel32.
pub const LONG_BYTES: usize = 5;

/// The NOP of two bytes.
pub const NOP2: [u8; SHORT_BYTES] = [0x66, 0x90];
/// The NOP of five bytes.
pub const NOP5: [u8; LONG_BYTES] = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/// Opcode of JMP rel8.
pub const JMP_REL8: u8 = 0xeb;
/// Opcode of JMP rel32.
pub const JMP_REL32: u8 = 0xe9;

/// The NOP of a site of `len` bytes at `from`.
///
/// # Errors
/// [`EncodeError::Length`] if no site has that length.
pub const fn nop(from: u64, len: usize) -> Result<InsnBytes, EncodeError> {
    match len {
        SHORT_BYTES => Ok(InsnBytes::from_two(NOP2)),
        LONG_BYTES => Ok(InsnBytes::from_five(NOP5)),
        _ => Err(EncodeError::Length { from, len }),
    }
}

/// The JMP of `len` bytes at `from` that branches to `to`.
///
/// # Errors
/// [`EncodeError::Length`] if no JMP of a site has that length,
/// [`EncodeError::OutOfRange`] if the JMP does not reach `to`.
pub const fn jump(from: u64, to: u64, len: usize) -> Result<InsnBytes, EncodeError> {
    match len {
        SHORT_BYTES => match displacement(from, to, len, i8::MIN as i64, i8::MAX as i64) {
            Ok(rel) => Ok(InsnBytes::from_two([JMP_REL8, rel.to_le_bytes()[0]])),
            Err(error) => Err(error),
        },
        LONG_BYTES => match displacement(from, to, len, i32::MIN as i64, i32::MAX as i64) {
            Ok(rel) => {
                // `rel` is the sign extension of these four bytes, as checked above.
                let [a, b, c, d, ..] = rel.to_le_bytes();
                Ok(InsnBytes::from_five([JMP_REL32, a, b, c, d]))
            }
            Err(error) => Err(error),
        },
        _ => Err(EncodeError::Length { from, len }),
    }
}

/// The displacement from the end of a branch of `len` bytes, if it lies within `min..=max`.
const fn displacement(
    from: u64,
    to: u64,
    len: usize,
    min: i64,
    max: i64,
) -> Result<i64, EncodeError> {
    // Addresses wrap at 2^64, as RIP does; the difference is signed.
    let rel = to.wrapping_sub(from).wrapping_sub(len as u64).cast_signed();
    if rel < min || rel > max {
        // The error counts from the start of the branch, as on the other architectures.
        #[allow(clippy::cast_possible_wrap, reason = "2 or 5")]
        let len = len as i64;
        return Err(EncodeError::OutOfRange { from, to, min: min + len, max: max + len });
    }
    Ok(rel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM: u64 = 0xffff_ffff_8100_0000;

    /// Displacements from the start, and bytes as `llvm-mc -triple=x86_64` prints them for
    /// `jmp .+N` and `{disp32} jmp .+N`.  The bytes of the last two are from the manual.
    #[test]
    fn jump_encodes_the_bytes_of_an_assembler() {
        for (displacement, bytes) in [
            (2i64, &[0xeb, 0x00][..]),
            (0, &[0xeb, 0xfe]),
            (129, &[0xeb, 0x7f]),
            (-126, &[0xeb, 0x80]),
            (5, &[0xe9, 0x00, 0x00, 0x00, 0x00]),
            (0, &[0xe9, 0xfb, 0xff, 0xff, 0xff]),
            (0x1234, &[0xe9, 0x2f, 0x12, 0x00, 0x00]),
            (-0x1234, &[0xe9, 0xc7, 0xed, 0xff, 0xff]),
            (0x8000_0004, &[0xe9, 0xff, 0xff, 0xff, 0x7f]),
            (-0x7fff_fffb, &[0xe9, 0x00, 0x00, 0x00, 0x80]),
        ] {
            let to = FROM.wrapping_add_signed(displacement);
            let made = jump(FROM, to, bytes.len()).unwrap();
            assert_eq!(made.as_slice(), bytes, "{displacement}");
        }
        assert_eq!(nop(FROM, 2).unwrap().as_slice(), [0x66, 0x90]);
        assert_eq!(nop(FROM, 5).unwrap().as_slice(), [0x0f, 0x1f, 0x44, 0x00, 0x00]);
    }

    #[test]
    fn distances_and_lengths_out_of_range_are_refused() {
        for (displacement, len, min, max) in [
            (130, 2, -126, 129),
            (-127, 2, -126, 129),
            (0x8000_0005, 5, -0x7fff_fffb, 0x8000_0004),
            (-0x7fff_fffc, 5, -0x7fff_fffb, 0x8000_0004),
        ] {
            let to = FROM.wrapping_add_signed(displacement);
            let refused = Err(EncodeError::OutOfRange { from: FROM, to, min, max });
            assert_eq!(jump(FROM, to, len), refused, "{displacement}");
        }
        for len in [0, 1, 3, 4, 6, usize::MAX] {
            assert_eq!(jump(FROM, FROM, len), Err(EncodeError::Length { from: FROM, len }));
            assert_eq!(nop(FROM, len), Err(EncodeError::Length { from: FROM, len }));
        }
    }

    proptest! {
        /// The manual's rule, RIP of the next instruction plus the sign-extended displacement,
        /// decodes a JMP to its target.
        #[test]
        fn jump_decodes_to_its_target(from in any::<u64>(), rel8 in any::<i8>(), rel32 in any::<i32>()) {
            let to = from.wrapping_add(2).wrapping_add_signed(rel8.into());
            let made = jump(from, to, 2).unwrap();
            prop_assert_eq!(made.as_slice(), &[0xeb, rel8.cast_unsigned()]);
            let to = from.wrapping_add(5).wrapping_add_signed(rel32.into());
            let made = jump(from, to, 5).unwrap();
            prop_assert_eq!(made.as_slice()[0], 0xe9);
            prop_assert_eq!(&made.as_slice()[1..], &rel32.to_le_bytes());
        }

        #[test]
        fn encoded_bytes_are_never_wrong(from in any::<u64>(), to in any::<u64>()) {
            if let Ok(made) = jump(from, to, 5) {
                let rel = i32::from_le_bytes(*made.as_slice().last_chunk().unwrap());
                prop_assert_eq!(from.wrapping_add(5).wrapping_add_signed(rel.into()), to);
            }
        }
    }
}
