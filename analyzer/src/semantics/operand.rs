//! Registers, widths, operands and operators of instructions.

/// Size of an instruction, in bytes: those of A64, and of RV64 without compressed instructions.
pub const INSN_BYTES: u64 = 4;

/// A general-purpose register that has a value: x0 to x30 by number, and 31 for the stack
/// pointer. The zero register is [`Operand::Number`], and no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Register(u8);

impl Register {
    /// The stack pointer.
    pub const SP: Self = Self(31);
    /// The number of registers.
    pub const COUNT: usize = 32;

    /// The register with this number; `None` if the number is not below 32.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 32 { Some(Self(number)) } else { None }
    }

    /// The number of the register.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The register in the low five bits of `field`, where 31 is the stack pointer.
    pub(super) const fn or_sp(field: u32) -> Self {
        Self((field & 31) as u8)
    }

    /// The register in the low five bits of `field`, where 31 is the zero register.
    pub(super) const fn or_zero(field: u32) -> Option<Self> {
        if field & 31 == 31 { None } else { Some(Self::or_sp(field)) }
    }
}

/// A set of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegisterSet(pub u32);

impl RegisterSet {
    /// All registers, the stack pointer included.
    pub const ALL: Self = Self(u32::MAX);
    /// The registers that a call may change: x0 to x18 and x30 (AAPCS64, 6.1.1).
    pub const CHANGED_BY_CALLS: Self = Self(0x4007_ffff);

    /// Whether the set has this register.
    #[must_use]
    pub const fn has(self, register: Register) -> bool {
        self.0 >> register.0 & 1 != 0
    }

    /// Adds a register.
    pub const fn add(&mut self, register: Register) {
        self.0 |= 1 << register.0;
    }

    /// The registers, by number.
    pub fn iter(self) -> impl Iterator<Item = Register> {
        (0..32).map(Register).filter(move |register| self.has(*register))
    }
}

/// Width of an operation. A 32-bit operation clears the upper half of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// 32 bits.
    Word,
    /// 64 bits.
    Double,
}

impl Width {
    /// The bits of the width.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Word => 0xffff_ffff,
            Self::Double => u64::MAX,
        }
    }

    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Word => 32,
            Self::Double => 64,
        }
    }
}

/// Extension of low bits to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extend {
    /// Number of low bits that are extended, at most 64.
    pub bits: u32,
    /// Whether the extension replicates the highest of them.
    pub is_signed: bool,
}

impl Extend {
    /// Extends nothing.
    pub const NONE: Self = Self { bits: 64, is_signed: false };

    /// The extension of `value`.
    #[must_use]
    pub const fn apply(self, value: u64) -> u64 {
        let above = 64 - self.bits;
        if self.bits == 0 {
            0
        } else if self.is_signed {
            ((value << above).cast_signed() >> above).cast_unsigned()
        } else {
            value << above >> above
        }
    }
}

/// A shift by a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shift {
    /// To the left; by 0 if there is no shift.
    Left(u32),
    /// To the right, with zeros.
    Right(u32),
    /// To the right, with copies of the sign.
    Arithmetic(u32),
    /// Rotation to the right.
    Rotate(u32),
}

/// A value that an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A number; the zero register is 0.
    Number(u64),
    /// A register.
    Register(Register),
    /// A register, extended and then shifted, in the width of the operation.
    Shifted(Register, Extend, Shift),
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logic {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Bitwise and.
    And,
    /// And with the complement of the right operand.
    AndNot,
    /// Bitwise or.
    Or,
    /// Or with the complement of the right operand.
    OrNot,
    /// Exclusive or.
    Xor,
    /// Exclusive or with the complement of the right operand.
    XorNot,
    /// Product.
    Mul,
    /// Quotient of unsigned numbers; 0 if the divisor is 0.
    DivUnsigned,
    /// Quotient of signed numbers; 0 if the divisor is 0.
    DivSigned,
    /// Shift left, by the right operand modulo the width.
    ShiftLeft,
    /// Shift right with zeros, by the right operand modulo the width.
    ShiftRight,
    /// Shift right with the sign, by the right operand modulo the width.
    ShiftArithmetic,
    /// Rotation right, by the right operand modulo the width.
    Rotate,
}
