//! Relocations by their effect, independent of the names that architectures give them.

use crate::addr::Svma;
use jlctl_shim::insn::EncodeError;

/// Length of the longest ULEB128 encoding of a 64-bit number, in bytes.
const ULEB128_MAX: usize = 10;
/// The bits that SET6 and SUB6 change; the other two are an opcode (DW_CFA_advance_loc).
const LOW_SIX: u64 = 0x3f;

/// The effect of a relocation type on the field at location P, given the symbol value S and the
/// addend A.  `bytes` is the length of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    /// Nothing: no relocation, or a hint to the linker.
    Ignore,
    /// S + A.
    Absolute {
        /// Length of the field.
        bytes: usize,
    },
    /// S + A − P.
    Relative {
        /// Length of the field.
        bytes: usize,
    },
    /// The field, plus S + A.
    Add {
        /// Length of the field.
        bytes: usize,
    },
    /// The field, minus (S + A).
    Sub {
        /// Length of the field.
        bytes: usize,
    },
    /// The low bits of S + A; a [`Self::Sub`] of the same field follows.
    Set {
        /// Length of the field.
        bytes: usize,
    },
    /// The low six bits become those of S + A.
    Set6,
    /// The low six bits become those of the field minus (S + A).
    Sub6,
    /// The low bits of S + A as a ULEB128 number of unchanged length.
    SetUleb128,
    /// The field, a ULEB128 number, minus (S + A); its length does not change.
    SubUleb128,
    /// Load bias plus A.
    LoadBias {
        /// Length of the field.
        bytes: usize,
    },
    /// S + A or S + A − P in the immediate of an instruction, applied by
    /// [`super::Architecture::relocate_insn`].
    Insn {
        /// Length of the instruction.
        bytes: usize,
    },
    /// A type that jlctl does not know, or whose value only a linker or loader knows.
    Unknown,
}

/// The value of a relocated instruction that its bits cannot hold: an address of a relocatable
/// file may be out of reach, and entries of the GOT have no address yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InsnValue {
    /// It branches to this address, or loads from it.
    Target(Svma),
    /// It writes this value to its register.
    Register(Svma),
    /// What it writes to its register is not known.
    Unknown,
}

/// Why a relocation cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelocationError {
    /// The type does not fill a word of data.
    #[error("expected a type that fills a word of data")]
    NotAWord,
    /// The value needs more bits than the field has.
    #[error("expected a value that fits {bytes} bytes, found {value:#x}")]
    Overflow {
        /// Length of the field.
        bytes: usize,
        /// The value.
        value: u64,
    },
    /// The instruction has no such immediate, or the immediate cannot hold the value.
    #[error("expected an instruction with an immediate that holds {value:#x}")]
    Immediate {
        /// The value, S + A.
        value: u64,
    },
    /// The branch cannot go to the relocation's target.
    #[error("{0}")]
    Branch(EncodeError),
    /// The field does not lie entirely inside the section.
    #[error("expected a field inside the {size:#x} bytes of the section")]
    Outside {
        /// Size of the section in bytes.
        size: usize,
    },
    /// The symbol index is beyond the end of the symbol table.
    #[error("expected an index into the symbol table, found {index}, which is beyond its end")]
    NoSymbol {
        /// The index.
        index: usize,
    },
}

impl Relocation {
    /// Length of the field in bytes; `None` if the type has no field of a fixed length.
    #[must_use]
    pub const fn bytes(self) -> Option<usize> {
        match self {
            Self::Absolute { bytes }
            | Self::Relative { bytes }
            | Self::Add { bytes }
            | Self::Sub { bytes }
            | Self::Set { bytes }
            | Self::LoadBias { bytes }
            | Self::Insn { bytes } => Some(bytes),
            Self::Set6 | Self::Sub6 => Some(1),
            Self::Ignore | Self::SetUleb128 | Self::SubUleb128 | Self::Unknown => None,
        }
    }

    /// Length in bytes of the field at the start of `rest`; `None` if the type has no field, or
    /// `rest` ends inside it.
    #[must_use]
    pub fn field_bytes(self, rest: &[u8]) -> Option<usize> {
        let bytes = match self {
            Self::SetUleb128 | Self::SubUleb128 => {
                let number = &rest[..rest.len().min(ULEB128_MAX)];
                number.iter().position(|byte| byte & 0x80 == 0)? + 1
            }
            _ => self.bytes()?,
        };
        (bytes <= rest.len()).then_some(bytes)
    }

    /// Applies the relocation to `field`, the bytes at `position`, at load bias zero.  `value` is
    /// S + A.  [`Relocation::Ignore`] does not change the field.
    ///
    /// # Errors
    /// If the type does not fill a word of data, `field` has another length than the type's
    /// field, or the value does not fit.  `field` is then unchanged.
    pub fn apply(
        self,
        field: &mut [u8],
        big_endian: bool,
        position: Svma,
        value: u64,
    ) -> Result<(), RelocationError> {
        if self == Self::Ignore {
            return Ok(());
        }
        if self.field_bytes(field) != Some(field.len()) {
            return Err(RelocationError::NotAWord);
        }
        if matches!(self, Self::SetUleb128 | Self::SubUleb128) {
            add_to_uleb128(field, self == Self::SetUleb128, value);
            return Ok(());
        }
        let there = read_word(field, big_endian).ok_or(RelocationError::NotAWord)?;
        let value = match self {
            Self::Absolute { bytes } | Self::LoadBias { bytes } => fitting(value, bytes)?,
            Self::Relative { bytes } => fitting(value.wrapping_sub(position.0), bytes)?,
            // A difference is the sum of two relocations; the intermediate value wraps (RISC-V
            // ELF psABI, "Relocations").
            Self::Add { .. } => there.wrapping_add(value),
            Self::Sub { .. } => there.wrapping_sub(value),
            Self::Set { .. } => value,
            Self::Set6 => there & !LOW_SIX | value & LOW_SIX,
            Self::Sub6 => there & !LOW_SIX | there.wrapping_sub(value) & LOW_SIX,
            Self::Ignore
            | Self::Insn { .. }
            | Self::SetUleb128
            | Self::SubUleb128
            | Self::Unknown => return Err(RelocationError::NotAWord),
        };
        write_word(field, big_endian, value);
        Ok(())
    }
}

/// `value`, if a field of `bytes` can hold it as a signed or an unsigned number. The psABIs
/// differ in which of the two a type allows; both are valid input.
fn fitting(value: u64, bytes: usize) -> Result<u64, RelocationError> {
    let unused = 64u32.saturating_sub(u32::try_from(bytes).unwrap_or(8).saturating_mul(8));
    let unsigned = value.wrapping_shl(unused).wrapping_shr(unused);
    let signed = value.wrapping_shl(unused).cast_signed().wrapping_shr(unused).cast_unsigned();
    if value == unsigned || value == signed {
        Ok(value)
    } else {
        Err(RelocationError::Overflow { bytes, value })
    }
}

/// Replaces the ULEB128 number in `field` by `value`, or subtracts `value` from it. The length
/// does not change, and bits beyond it are dropped, as in every intermediate value of a
/// difference.
fn add_to_uleb128(field: &mut [u8], replaces: bool, value: u64) {
    let number = field.iter().rev().fold(0u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
    let mut rest = if replaces { value } else { number.wrapping_sub(value) };
    for byte in field {
        *byte = *byte & 0x80 | rest.to_le_bytes()[0] & 0x7f;
        rest >>= 7;
    }
}

/// Reads a word of 1, 2, 4 or 8 bytes.
fn read_word(field: &[u8], big_endian: bool) -> Option<u64> {
    if !matches!(field.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    let append = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    Some(if big_endian { field.iter().fold(0, append) } else { field.iter().rev().fold(0, append) })
}

/// Writes the low bytes of `value` to `field`, which has at most eight.
fn write_word(field: &mut [u8], big_endian: bool, value: u64) {
    let length = field.len();
    for (index, byte) in value.to_le_bytes().into_iter().take(length).enumerate() {
        field[if big_endian { length - 1 - index } else { index }] = byte;
    }
}

/// A row of an architecture's table: number, name in its psABI, effect.
pub(super) type Row = (u32, &'static str, Relocation);

/// The row of type `r_type` in a table sorted by number.
pub(super) fn find(table: &'static [Row], r_type: u32) -> Option<&'static Row> {
    table.binary_search_by_key(&r_type, |(number, ..)| *number).ok().map(|at| &table[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applied(relocation: Relocation, field: &[u8], big: bool, value: u64) -> Vec<u8> {
        let mut field = field.to_vec();
        relocation.apply(&mut field, big, Svma(0x1000), value).unwrap();
        field
    }

    #[test]
    fn words_are_filled() {
        use Relocation::{Absolute, Add, Ignore, LoadBias, Relative, Sub};
        let little = |relocation, field: &[u8], value| applied(relocation, field, false, value);
        assert_eq!(little(Absolute { bytes: 2 }, &[9; 2], 0x1234), [0x34, 0x12]);
        assert_eq!(applied(Absolute { bytes: 2 }, &[9; 2], true, 0x1234), [0x12, 0x34]);
        assert_eq!(little(Relative { bytes: 4 }, &[9; 4], 0xff0), [0xf0, 0xff, 0xff, 0xff]);
        assert_eq!(little(LoadBias { bytes: 8 }, &[9; 8], u64::MAX), [0xff; 8]);
        assert_eq!(little(Add { bytes: 1 }, &[0xff], 3), [2], "wraps");
        assert_eq!(little(Sub { bytes: 4 }, &[1, 0, 0, 0], 2), [0xff; 4]);
        assert_eq!(little(Ignore, &[7; 3], 2), [7; 3]);
    }

    /// DW_CFA_advance_loc by 0x24 - 0x20, and the length 300 - 20 in two bytes and a length of
    /// one in five, as assemblers reserve them.
    #[test]
    fn differences_of_six_bits_and_of_uleb128_are_filled() {
        use Relocation::{Set, Set6, SetUleb128, Sub6, SubUleb128};
        let little = |relocation, field: &[u8], value| applied(relocation, field, false, value);
        assert_eq!(little(Sub6, &little(Set6, &[0x40], 0x1024), 0x1020), [0x44]);
        assert_eq!(little(Sub6, &little(Set6, &[0x7f], 0x1000), 0xfff), [0x41]);
        assert_eq!(little(Set { bytes: 2 }, &[9; 2], 0x7000_1234), [0x34, 0x12]);
        let base = 0x7000_0000_0000_0000;
        let set = little(SetUleb128, &[0x80, 0], base + 300);
        assert_eq!(little(SubUleb128, &set, base + 20), [0x98, 0x02]);
        let set = little(SetUleb128, &[0x80, 0x80, 0x80, 0x80, 0], base + 2);
        assert_eq!(little(SubUleb128, &set, base + 1), [0x81, 0x80, 0x80, 0x80, 0]);
        assert_eq!(SetUleb128.field_bytes(&[0x80, 0x81, 2, 3]), Some(3));
        assert_eq!(SetUleb128.field_bytes(&[0x80, 0x81]), None);
        assert_eq!(SetUleb128.field_bytes(&[0x80; 11]), None);
        let not_a_word = Err(RelocationError::NotAWord);
        assert_eq!(SetUleb128.apply(&mut [1, 2], false, Svma(0), 0), not_a_word);
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        use Relocation::{Absolute, Insn, Relative, Unknown};
        for (relocation, bytes, value) in [
            (Absolute { bytes: 4 }, 4, 0xffff_ffff_8000_0000u64),
            (Absolute { bytes: 4 }, 4, 0xffff_ffff),
            (Absolute { bytes: 1 }, 1, (-128i64).cast_unsigned()),
            (Relative { bytes: 4 }, 4, 0x1000 + 0x7fff_ffff),
        ] {
            assert!(relocation.apply(&mut vec![0; bytes], false, Svma(0x1000), value).is_ok());
        }
        let overflow = |bytes, value| Err(RelocationError::Overflow { bytes, value });
        let not_a_word = Err(RelocationError::NotAWord);
        for (relocation, bytes, value, refused) in [
            (Absolute { bytes: 4 }, 4, 1 << 32, overflow(4, 1 << 32)),
            (Absolute { bytes: 4 }, 4, 0xffff_ffff_7fff_ffff, overflow(4, 0xffff_ffff_7fff_ffff)),
            (Relative { bytes: 2 }, 2, 0x1_1000, overflow(2, 0x1_0000)),
            (Absolute { bytes: 8 }, 4, 0, not_a_word),
            (Insn { bytes: 4 }, 4, 0, not_a_word),
            (Unknown, 8, 0, not_a_word),
        ] {
            let mut field = vec![9; bytes];
            assert_eq!(relocation.apply(&mut field, false, Svma(0x1000), value), refused);
            assert_eq!(field, vec![9; bytes]);
        }
    }

    proptest! {
        /// ADD and SUB of any width, in either order, store the difference.
        #[test]
        fn add_and_sub_store_a_difference(a in any::<u64>(), b in any::<u64>(), big in any::<bool>()) {
            for bytes in [1usize, 2, 4, 8] {
                let mut field = vec![0; bytes];
                Relocation::Sub { bytes }.apply(&mut field, big, Svma(0), b).unwrap();
                Relocation::Add { bytes }.apply(&mut field, big, Svma(0), a).unwrap();
                let kept = u64::MAX >> (64 - 8 * bytes);
                prop_assert_eq!(read_word(&field, big), Some(a.wrapping_sub(b) & kept));
            }
        }
    }
}
