//! Registers as operands.

/// A register, and the width of its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reg {
    pub(super) number: u32,
    pub(super) wide: bool,
    pub(super) stack: bool,
}

/// The 64-bit register of this number; 31 is XZR.
#[must_use]
pub const fn x(number: u32) -> Reg {
    assert!(number < 32);
    Reg { number, wide: true, stack: false }
}

/// The 32-bit register of this number; 31 is WZR.
#[must_use]
pub const fn w(number: u32) -> Reg {
    Reg { wide: false, ..x(number) }
}

/// The stack pointer.
pub const SP: Reg = Reg { stack: true, ..x(31) };
/// The frame pointer.
pub const FP: Reg = x(29);
/// The link register.
pub const LR: Reg = x(30);
/// The zero register.
pub const XZR: Reg = x(31);

impl Reg {
    /// Bit 31 of most instructions.
    pub(super) fn sf(self) -> u32 {
        u32::from(self.wide) << 31
    }

    /// Bytes that a load or store transfers.
    pub(super) fn bytes(self) -> u32 {
        if self.wide { 8 } else { 4 }
    }

    /// Bit 30 of loads and stores.
    pub(super) fn size(self) -> u32 {
        u32::from(self.wide) << 30
    }
}
