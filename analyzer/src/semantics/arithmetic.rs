//! Operators and shifts on numbers.

use super::operand::{Extend, Logic, Shift, Width};

const fn low(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

const fn rotated(value: u64, by: u32, width: Width) -> u64 {
    match width {
        Width::Word => low(value).rotate_right(by) as u64,
        Width::Double => value.rotate_right(by),
    }
}

const fn arithmetic(value: u64, by: u32, width: Width) -> u64 {
    let extend = Extend { bits: width.bits(), is_signed: true };
    (extend.apply(value).cast_signed() >> by).cast_unsigned() & width.mask()
}

impl Logic {
    /// The result for two numbers, of which the bits of `width` count. The upper half of the
    /// result of a 32-bit operation is clear.
    #[must_use]
    pub fn apply(self, left: u64, right: u64, width: Width) -> u64 {
        let (left, right) = (left & width.mask(), right & width.mask());
        let by = low(right) % width.bits();
        let signed = |value| Extend { bits: width.bits(), is_signed: true }.apply(value);
        let result = match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::And => left & right,
            Self::AndNot => left & !right,
            Self::Or => left | right,
            Self::OrNot => left | !right,
            Self::Xor => left ^ right,
            Self::XorNot => left ^ !right,
            Self::Mul => left.wrapping_mul(right),
            Self::DivUnsigned => left.checked_div(right).unwrap_or(0),
            Self::DivSigned if right == 0 => 0,
            Self::DivSigned => {
                signed(left).cast_signed().wrapping_div(signed(right).cast_signed()).cast_unsigned()
            }
            Self::ShiftLeft => left << by,
            Self::ShiftRight => left >> by,
            Self::ShiftArithmetic => arithmetic(left, by, width),
            Self::Rotate => rotated(left, by, width),
        };
        result & width.mask()
    }
}

impl Shift {
    /// `value` after the extension and the shift. A left shift keeps the bits above `width`: the
    /// operation that uses the result drops them.
    #[must_use]
    pub fn apply(self, value: u64, extend: Extend, width: Width) -> u64 {
        let value = extend.apply(value);
        let own = value & width.mask();
        match self {
            Self::Left(by) => value.checked_shl(by).unwrap_or(0),
            Self::Right(by) => own.checked_shr(by).unwrap_or(0),
            Self::Arithmetic(by) => arithmetic(own, by % 64, width),
            Self::Rotate(by) => rotated(own, by, width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_use_the_bits_of_their_width() {
        use Width::{Double, Word};
        for (logic, left, right, width, result) in [
            (Logic::Add, 0xffff_ffff, 1, Word, 0),
            (Logic::Sub, 0, 1, Word, 0xffff_ffff),
            (Logic::Sub, 0, 1, Double, u64::MAX),
            (Logic::OrNot, 0, 5, Word, 0xffff_fffa),
            (Logic::DivSigned, 0xffff_fff8, 2, Word, 0xffff_fffc),
            (Logic::DivSigned, 1 << 63, u64::MAX, Double, 1 << 63),
            (Logic::DivUnsigned, 8, 0, Double, 0),
            (Logic::ShiftLeft, 1, 33, Word, 2),
            (Logic::ShiftArithmetic, 0x8000_0000, 4, Word, 0xf800_0000),
            (Logic::Rotate, 1, 1, Word, 0x8000_0000),
        ] {
            assert_eq!(logic.apply(left, right, width), result, "{logic:?} {left:#x} {right:#x}");
        }
    }

    #[test]
    fn shifts_follow_the_extension() {
        let byte = |is_signed| Extend { bits: 8, is_signed };
        for (shift, value, extend, width, result) in [
            (Shift::Left(2), 0x1ff, byte(false), Width::Double, 0x3fc),
            (Shift::Left(2), 0xff, byte(true), Width::Double, (-4_i64).cast_unsigned()),
            (Shift::Right(4), u64::MAX, Extend::NONE, Width::Word, 0x0fff_ffff),
            (Shift::Arithmetic(4), 0x8000_0000, Extend::NONE, Width::Word, 0xf800_0000),
            (Shift::Rotate(8), 0x12, Extend::NONE, Width::Word, 0x1200_0000),
        ] {
            assert_eq!(shift.apply(value, extend, width), result, "{shift:?} {value:#x}");
        }
    }
}
