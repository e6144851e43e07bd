//! Instructions that use a branch table.

use super::Reg;
use crate::code::Code;

/// UXTW or LSL, by the width of an index register.
fn option(index: Reg) -> u32 {
    if index.wide { 3 } else { 2 }
}

fn indexed(opcode: u32, to: Reg, table: Reg, index: Reg, is_scaled: bool) -> Code {
    let (option, scaled) = (option(index) << 13, u32::from(is_scaled) << 12);
    Code::word(opcode | index.number << 16 | option | scaled | table.number << 5 | to.number)
}

/// LDRB, LDRH or LDR of `bytes` bytes: loads entry `index` of `table` into `to`.
///
/// # Panics
/// If `bytes` is not 1, 2, 4 or 8.
#[must_use]
pub fn load_entry(to: Reg, table: Reg, index: Reg, bytes: u64) -> Code {
    assert!([1, 2, 4, 8].contains(&bytes), "a load of {bytes} bytes");
    indexed(0x3860_0800 | bytes.trailing_zeros() << 30, to, table, index, bytes > 1)
}

/// `ldrsw to, [table, index, lsl #2]`
#[must_use]
pub fn ldrsw(to: Reg, table: Reg, index: Reg) -> Code {
    indexed(0xb8a0_0800, to, table, index, true)
}

/// `ldrb to, [base], #1`
#[must_use]
pub fn ldrb_post(to: Reg, base: Reg) -> Code {
    Code::word(0x3840_1400 | base.number << 5 | to.number)
}

/// ADD of an entry of `bytes` bytes, its sign extended, in instructions: SXTB, SXTH or
/// SXTW #2.
///
/// # Panics
/// If `bytes` is not 1, 2 or 4.
#[must_use]
pub fn add_entry(to: Reg, base: Reg, entry: Reg, bytes: u64) -> Code {
    assert!([1, 2, 4].contains(&bytes), "an entry of {bytes} bytes");
    let option = (4 + bytes.trailing_zeros()) << 13;
    Code::word(0x8b20_0800 | entry.number << 16 | option | base.number << 5 | to.number)
}

/// `and to, from, #mask`, where the mask is a run of low bits.
///
/// # Panics
/// If `mask` is not a run of low bits.
#[must_use]
pub fn and_low(to: Reg, from: Reg, mask: u32) -> Code {
    assert!(mask & (mask + 1) == 0 && mask != 0, "{mask:#x} is not a run of low bits");
    let last = mask.trailing_ones() - 1;
    let whole = u32::from(to.wide) << 22;
    Code::word(0x1200_0000 | to.sf() | whole | last << 10 | from.number << 5 | to.number)
}
