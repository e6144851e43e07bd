//! Fields of A64 words.

use super::operand::{Extend, Operand, Register, RegisterSet, Width};
use super::operation::Operation;
use crate::addr::Svma;

/// The bits of `word` from `low` upward.
pub(super) const fn bits(word: u32, low: u32, count: u32) -> u32 {
    (word >> low) & ((1 << count) - 1)
}

/// As [`bits`], sign-extended.
pub(super) const fn signed(word: u32, low: u32, count: u32) -> i64 {
    let above = 32 - low - count;
    ((word << above).cast_signed() >> (32 - count)) as i64
}

/// Whether bit `at` is set.
pub(super) const fn bit(word: u32, at: u32) -> bool {
    word >> at & 1 != 0
}

/// The width in bit 31.
pub(super) const fn width(word: u32) -> Width {
    if bit(word, 31) { Width::Double } else { Width::Word }
}

/// The number that a logical immediate encodes (`DecodeBitMasks`, Arm ARM J1); `None` if the
/// encoding is reserved.
pub(super) const fn logical(word: u32) -> Option<u64> {
    let (n, immr, imms) = (bits(word, 22, 1), bits(word, 16, 6), bits(word, 10, 6));
    let pattern = (n << 6) | (!imms & 0x3f);
    if pattern < 2 {
        return None;
    }
    let log = 31 - pattern.leading_zeros();
    let size = 1u32 << log;
    let (ones, rotate) = (imms & (size - 1), immr & (size - 1));
    if ones == size - 1 || !bit(word, 31) && n == 1 {
        return None;
    }
    let element = (1u64 << (ones + 1)) - 1;
    let whole = if size == 64 { u64::MAX } else { (1 << size) - 1 };
    let mut value = if rotate == 0 {
        element
    } else {
        (element >> rotate | element << (size - rotate)) & whole
    };
    let mut filled = size;
    while filled < 64 {
        value |= value << filled;
        filled *= 2;
    }
    Some(value & width(word).mask())
}

pub(super) const fn changes(register: Register) -> Operation {
    Operation::Changes(only(Some(register)))
}

/// The set of one register, or of none.
const fn only(register: Option<Register>) -> RegisterSet {
    let mut set = RegisterSet(0);
    if let Some(register) = register {
        set.add(register);
    }
    set
}

/// The flags change, and the register of bits 4:0, if it is not the zero register.
pub(super) const fn opaque_with_flags(word: u32) -> Operation {
    Operation::SetsFlags(only(Register::or_zero(word)))
}

/// Only the flags change.
pub(super) const FLAGS: Operation = Operation::SetsFlags(only(None));

/// A result in the register of bits 4:0, of which only that is known.
pub(super) fn opaque(word: u32) -> Operation {
    Register::or_zero(word).map_or(Operation::Nothing, changes)
}

pub(super) fn zero_or(field: u32) -> Operand {
    Register::or_zero(field).map_or(Operand::Number(0), Operand::Register)
}

pub(super) const fn jump_target(word: u32, at: Svma, low: u32, count: u32) -> Svma {
    at.wrapping_offset(signed(word, low, count) * 4)
}

/// The extension in bits 15:13.
pub(super) const fn option(word: u32) -> Extend {
    Extend { bits: 8 << bits(word, 13, 2), is_signed: bit(word, 15) }
}
