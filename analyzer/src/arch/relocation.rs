//! Relocations by what they do, whatever an architecture calls them.

use crate::addr::Svma;
use jlctl_shim::insn::EncodeError;

/// Bytes of the longest ULEB128 number that holds 64 bits.
const ULEB128_MAX: usize = 10;
/// What SET6 and SUB6 change; the other bits are an opcode (DW_CFA_advance_loc).
const LOW_SIX: u64 = 0x3f;

/// What a relocation type does to the field at its place P, given its symbol S
/// and addend A.  `bytes` is the length of the field.
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
    /// What is there, plus S + A.
    Add {
        /// Length of the field.
        bytes: usize,
    },
    /// What is there, minus (S + A).
    Sub {
        /// Length of the field.
        bytes: usize,
    },
    /// The low bits of S + A; a [`Self::Sub`] of the same place follows.
    Set {
        /// Length of the field.
        bytes: usize,
    },
    /// The low six bits become those of S + A.
    Set6,
    /// The low six bits become those of what is there, minus (S + A).
    Sub6,
    /// The low bits of S + A in a ULEB128 number, whose length stays.
    SetUleb128,
    /// What is there, a ULEB128 number, minus (S + A); its length stays.
    SubUleb128,
    /// Load bias plus A.
    LoadBias {
        /// Length of the field.
        bytes: usize,
    },
    /// S + A − P in the immediate of a branch:
    /// [`super::Architecture::relocate_branch`] puts it there.
    Branch {
        /// Length of the instruction.
        bytes: usize,
    },
    /// None that jlctl knows, or none that a jump table, a key or a site has.
    Unknown,
}

/// Why a relocation cannot be applied to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelocationError {
    /// The type fills no word of data.
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
    /// A branch cannot be made to go where the relocation says.
    #[error("{0}")]
    Branch(EncodeError),
    /// The field lies outside the section, or ends outside of it.
    #[error("expected a field inside the {size:#x} bytes of the section")]
    Outside {
        /// Bytes of the section.
        size: usize,
    },
    /// The symbol table has no such symbol.
    #[error("expected an index into the symbol table, found {index}, which is behind its end")]
    NoSymbol {
        /// The index.
        index: usize,
    },
}

impl Relocation {
    /// Length of the field in bytes; `None` if there is none, or none known.
    #[must_use]
    pub const fn bytes(self) -> Option<usize> {
        match self {
            Self::Absolute { bytes }
            | Self::Relative { bytes }
            | Self::Add { bytes }
            | Self::Sub { bytes }
            | Self::Set { bytes }
            | Self::LoadBias { bytes }
            | Self::Branch { bytes } => Some(bytes),
            Self::Set6 | Self::Sub6 => Some(1),
            Self::Ignore | Self::SetUleb128 | Self::SubUleb128 | Self::Unknown => None,
        }
    }

    /// Length in bytes of the field that `rest` starts with; `None` if there is
    /// none, or `rest` ends before it does.
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

    /// Applies the relocation to `field`, the bytes at `place`, at load bias
    /// zero.  `value` is S + A.  [`Relocation::Ignore`] leaves the field alone.
    ///
    /// # Errors
    /// If the type fills no word of data, `field` is not as long as it, or the
    /// value does not fit; the field is then as it was.
    pub fn apply(
        self,
        field: &mut [u8],
        big_endian: bool,
        place: Svma,
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
            Self::Relative { bytes } => fitting(value.wrapping_sub(place.0), bytes)?,
            // The two halves of a difference are applied one after the other:
            // what lies between them wraps (RISC-V ELF psABI, "Relocations").
            Self::Add { .. } => there.wrapping_add(value),
            Self::Sub { .. } => there.wrapping_sub(value),
            Self::Set { .. } => value,
            Self::Set6 => there & !LOW_SIX | value & LOW_SIX,
            Self::Sub6 => there & !LOW_SIX | there.wrapping_sub(value) & LOW_SIX,
            Self::Ignore
            | Self::Branch { .. }
            | Self::SetUleb128
            | Self::SubUleb128
            | Self::Unknown => return Err(RelocationError::NotAWord),
        };
        write_word(field, big_endian, value);
        Ok(())
    }
}

/// `value` if a field of `bytes` holds it as a signed or an unsigned number.
/// The psABIs differ in which of the two a type allows; both are sound input.
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

/// Makes the ULEB128 number in `field` `value`, or takes that from it; the
/// number keeps its length.  Bits that it has no room for are lost, as between
/// the halves of any difference.
fn add_to_uleb128(field: &mut [u8], replaces: bool, value: u64) {
    let number = field.iter().rev().fold(0u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
    let mut rest = if replaces { value } else { number.wrapping_sub(value) };
    for byte in field {
        *byte = *byte & 0x80 | rest.to_le_bytes()[0] & 0x7f;
        rest >>= 7;
    }
}

/// A word of 1, 2, 4 or 8 bytes.
fn read_word(field: &[u8], big_endian: bool) -> Option<u64> {
    if !matches!(field.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    let append = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    Some(if big_endian { field.iter().fold(0, append) } else { field.iter().rev().fold(0, append) })
}

/// Writes the low bytes of `value`; `field` has up to eight.
fn write_word(field: &mut [u8], big_endian: bool, value: u64) {
    let length = field.len();
    for (index, byte) in value.to_le_bytes().into_iter().take(length).enumerate() {
        field[if big_endian { length - 1 - index } else { index }] = byte;
    }
}

/// One row of an architecture's table: number, name in its psABI, meaning.
pub(super) type Row = (u32, &'static str, Relocation);

/// The row of a type in a table that ascends by number.
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

    /// DW_CFA_advance_loc by 0x24 - 0x20, and a length of 300 - 20 in two bytes
    /// and one in five, as assemblers leave room for one.
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
    fn what_does_not_fit_is_refused() {
        use Relocation::{Absolute, Branch, Relative, Unknown};
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
            (Branch { bytes: 4 }, 4, 0, not_a_word),
            (Unknown, 8, 0, not_a_word),
        ] {
            let mut field = vec![9; bytes];
            assert_eq!(relocation.apply(&mut field, false, Svma(0x1000), value), refused);
            assert_eq!(field, vec![9; bytes]);
        }
    }

    proptest! {
        /// ADD and SUB of any width, in either order, leave the difference.
        #[test]
        fn pairs_make_differences(a in any::<u64>(), b in any::<u64>(), big in any::<bool>()) {
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
