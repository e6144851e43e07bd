//! Decodes the A64 instructions that compute the target of a BR: sums, bit fields, masks,
//! comparisons, loads and spills.
//!
//! Encodings: Arm ARM (DDI 0487), C4.1.93 "Data Processing -- Immediate", C4.1.94 "Loads and
//! Stores", C4.1.95 "Data Processing -- Register". [`super::insn::Constant`] covers instructions
//! that make constants.

use super::insn::Register;

/// Extension of a register to 64 bits before it is shifted (`option` in the encodings).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extend {
    /// Number of low bits that are extended: 8, 16, 32 or 64.
    pub(super) bits: u32,
    /// Whether the extension replicates the highest of them.
    pub(super) is_signed: bool,
}

impl Extend {
    const fn of(option: u32) -> Self {
        Self { bits: 8 << (option & 3), is_signed: option & 4 != 0 }
    }
}

/// The right-hand operand of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    /// A number.
    Number(u64),
    /// A register.
    Register(Register),
}

/// The offset that a load adds to its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadIndex {
    /// A number of bytes.
    Offset(u64),
    /// A register, extended and shifted left.
    Register(Register, Extend, u32),
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// ADD of two registers; the right one is extended and shifted left.
    Add { to: Register, left: Register, right: Register, extend: Extend, shift: u32 },
    /// UBFM and SBFM: extracts the bits from `low` upward and moves them to bit `left`.
    Field { to: Register, from: Register, low: u32, left: u32, extend: Extend },
    /// AND with a mask of low bits. Other masks are [`Self::Other`].
    Mask { to: Register, from: Register, mask: u64, sets_flags: bool },
    /// SUBS. CMP has no destination.
    Compare { to: Option<Register>, left: Register, right: Operand },
    /// LDRB, LDRH, LDR and their sign-extending forms.
    Load { to: Register, base: Register, index: LoadIndex, bytes: u8, sign: Option<u32> },
    /// STR of 8 bytes.
    Store { source: Register, base: Register, offset: u64 },
    /// LDP and STP of two 8-byte registers, without write-back.
    Pair { first: Register, second: Register, base: Register, offset: u64, is_load: bool },
    /// LDRB and LDRH with write-back.
    Narrow { to: Register, bytes: u8 },
    /// Any other instruction that sets the flags, or may set them.
    SetsFlags,
    /// Any other instruction.
    Other,
}

const fn register(word: u32, bit: u32) -> Option<Register> {
    Register::new(((word >> bit) & 31) as u8)
}

/// Decodes `word`.
pub(super) fn decode(word: u32) -> Operation {
    let decoded = match (word >> 25) & 0xf {
        0b1000 | 0b1001 => immediate(word),
        0b0101 | 0b1101 => register_form(word),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => store(word).or_else(|| load(word)),
        // MSR NZCV and similar.
        0b1010 | 0b1011 => (word & 0xfff0_0000 == 0xd510_0000).then_some(Operation::SetsFlags),
        // SVE and SME; FCMP and FCCMP.
        0b0010 | 0b0000 => Some(Operation::SetsFlags),
        0b1111 | 0b0111 => {
            let compares = word & 0xff20_fc07 == 0x1e20_2000 || word & 0xff20_0c00 == 0x1e20_0400;
            compares.then_some(Operation::SetsFlags)
        }
        _ => None,
    };
    decoded.unwrap_or(Operation::Other)
}

/// Whether `word`, whose destination is register 31, writes the stack pointer. ADD, SUB and
/// logical operations with an immediate and ADD and SUB (extended register) do, unless they set
/// the flags. In all other instructions register 31 is the zero register.
pub(super) const fn writes_stack_pointer(word: u32) -> bool {
    match (word >> 23) & 0x3f {
        0b10_0010 => word & (1 << 29) == 0,
        0b10_0100 => (word >> 29) & 3 != 3,
        0b01_0110 => word & (1 << 21) != 0 && word & (1 << 29) == 0,
        _ => false,
    }
}

fn immediate(word: u32) -> Option<Operation> {
    let (to, from) = (register(word, 0)?, register(word, 5)?);
    let opc = (word >> 29) & 3;
    let size = if word >> 31 == 0 { 32 } else { 64 };
    match (word >> 23) & 7 {
        // SUBS, and ADDS.
        2 if opc == 3 => {
            let shift = if word & (1 << 22) == 0 { 0 } else { 12 };
            let number = u64::from((word >> 10) & 0xfff) << shift;
            Some(compare(to, from, Operand::Number(number)))
        }
        2 if opc == 1 => Some(Operation::SetsFlags),
        4 if opc == 0 || opc == 3 => {
            let sets_flags = opc == 3;
            let mask = low_mask(word, size);
            match mask {
                Some(mask) => Some(Operation::Mask { to, from, mask, sets_flags }),
                None => sets_flags.then_some(Operation::SetsFlags),
            }
        }
        // UBFM and SBFM; N is the size.
        6 if opc != 1 && opc != 3 && (word >> 22) & 1 == word >> 31 => {
            let (immr, imms) = ((word >> 16) & 63, (word >> 10) & 63);
            if immr >= size || imms >= size {
                return None;
            }
            let is_signed = opc == 0;
            let (low, left, bits) =
                if imms >= immr { (immr, 0, imms - immr + 1) } else { (0, size - immr, imms + 1) };
            Some(Operation::Field { to, from, low, left, extend: Extend { bits, is_signed } })
        }
        _ => None,
    }
}

/// The mask of a logical immediate (`DecodeBitMasks`, J1), if it consists of low bits.
fn low_mask(word: u32, size: u32) -> Option<u64> {
    let (n, immr, imms) = ((word >> 22) & 1, (word >> 16) & 63, (word >> 10) & 63);
    // The element is as wide as the register and is not rotated.
    let is_whole = if size == 64 { n == 1 } else { n == 0 && imms < 32 };
    (is_whole && immr == 0 && imms + 1 < size).then(|| (1 << (imms + 1)) - 1)
}

fn compare(to: Register, left: Register, right: Operand) -> Operation {
    Operation::Compare { to: (to.number() != 31).then_some(to), left, right }
}

fn register_form(word: u32) -> Option<Operation> {
    let (to, left, right) = (register(word, 0)?, register(word, 5)?, register(word, 16)?);
    let opc = (word >> 29) & 3;
    let bits = if word >> 31 == 0 { 32 } else { 64 };
    match (word >> 24) & 0x1f {
        // Logical: ANDS and BICS.
        0x0a => (opc == 3).then_some(Operation::SetsFlags),
        0x0b => {
            let is_extended = word & (1 << 21) != 0;
            let (extend, shift) = if is_extended {
                (Extend::of((word >> 13) & 7), (word >> 10) & 7)
            } else {
                (Extend { bits, is_signed: false }, (word >> 10) & 63)
            };
            // The shifted-register form supports LSL only.
            let is_left = is_extended || (word >> 22) & 3 == 0;
            match opc {
                0 if is_left => Some(Operation::Add { to, left, right, extend, shift }),
                3 if is_left && shift == 0 && extend.bits >= 32 => {
                    Some(compare(to, left, Operand::Register(right)))
                }
                1 | 3 => Some(Operation::SetsFlags),
                _ => None,
            }
        }
        // ADCS, CCMP, RMIF and similar have bit 29 set; conditional selects do not.
        0x1a => (word & (1 << 29) != 0).then_some(Operation::SetsFlags),
        _ => None,
    }
}

/// Stores and pairs that spill registers to the stack and reload them.
fn store(word: u32) -> Option<Operation> {
    let (first, base) = (register(word, 0)?, register(word, 5)?);
    match word >> 22 {
        0x3e4 => {
            let offset = u64::from((word >> 10) & 0xfff) * 8;
            Some(Operation::Store { source: first, base, offset })
        }
        // A negative offset is not a spill slot.
        0x2a4 | 0x2a5 if word & (1 << 21) == 0 => {
            let offset = u64::from((word >> 15) & 0x3f) * 8;
            let is_load = word & (1 << 22) != 0;
            Some(Operation::Pair { first, second: register(word, 10)?, base, offset, is_load })
        }
        _ => None,
    }
}

fn load(word: u32) -> Option<Operation> {
    let (to, base) = (register(word, 0)?, register(word, 5)?);
    // Not a load or store of one general-purpose register.
    if (word >> 27) & 7 != 7 || word & (1 << 26) != 0 {
        return None;
    }
    let (size, opc) = (word >> 30, (word >> 22) & 3);
    // The width of the sign extension. PRFM and stores are not loads.
    let sign = match (size, opc) {
        (_, 1) => None,
        (0..=2, 2) => Some(64),
        (0 | 1, 3) => Some(32),
        _ => return None,
    };
    let has_write_back = word & (1 << 21) == 0 && word & (1 << 10) != 0;
    if (word >> 24) & 3 == 0 && has_write_back && size < 2 && opc == 1 {
        return Some(Operation::Narrow { to, bytes: 1 << size });
    }
    let index = match (word >> 24) & 3 {
        1 => LoadIndex::Offset(u64::from((word >> 10) & 0xfff) << size),
        // Unscaled, with a non-negative offset.
        0 if word & (1 << 21) == 0 && (word >> 10) & 3 == 0 && word & (1 << 20) == 0 => {
            LoadIndex::Offset(u64::from((word >> 12) & 0xff))
        }
        0 if word & (1 << 21) != 0 && (word >> 10) & 3 == 2 && word & (1 << 14) != 0 => {
            let shift = if word & (1 << 12) == 0 { 0 } else { size };
            LoadIndex::Register(register(word, 16)?, Extend::of((word >> 13) & 7), shift)
        }
        _ => return None,
    };
    Some(Operation::Load { to, base, index, bytes: 1 << size, sign })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(number: u8) -> Register {
        Register::new(number).unwrap()
    }

    const fn extend(bits: u32, is_signed: bool) -> Extend {
        Extend { bits, is_signed }
    }

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` makes them.
    #[test]
    fn loads() {
        let at = |register, extend, shift| LoadIndex::Register(register, extend, shift);
        let load =
            |index, bytes, sign| Operation::Load { to: x(0), base: x(1), index, bytes, sign };
        for (word, operation) in [
            (0x3862_4820, load(at(x(2), extend(32, false), 0), 1, None)),
            (0x7862_5820, load(at(x(2), extend(32, false), 1), 2, None)),
            (0x7862_7820, load(at(x(2), extend(64, false), 1), 2, None)),
            (0xb862_d820, load(at(x(2), extend(32, true), 2), 4, None)),
            (0xb8a2_7820, load(at(x(2), extend(64, false), 2), 4, Some(64))),
            (0x38e2_6820, load(at(x(2), extend(64, false), 0), 1, Some(32))),
            (0x78a2_7820, load(at(x(2), extend(64, false), 1), 2, Some(64))),
            (0xf862_7820, load(at(x(2), extend(64, false), 3), 8, None)),
            (0xb980_0420, load(LoadIndex::Offset(4), 4, Some(64))),
            (0x3940_1420, load(LoadIndex::Offset(5), 1, None)),
            (0x3840_3020, load(LoadIndex::Offset(3), 1, None)),
            (0x385f_f020, Operation::Other),
            (0xf840_8420, Operation::Other),
            (0xb900_0020, Operation::Other),
            (0x3840_1420, Operation::Narrow { to: x(0), bytes: 1 }),
            (0x7840_2c20, Operation::Narrow { to: x(0), bytes: 2 }),
            (0xf862_4820, load(at(x(2), extend(32, false), 0), 8, None)),
        ] {
            assert_eq!(decode(word), operation, "{word:#010x}");
        }
    }

    #[test]
    fn sums_and_fields() {
        let add =
            |extend, shift| Operation::Add { to: x(0), left: x(1), right: x(2), extend, shift };
        let field = |low, left, bits, is_signed| {
            let extend = extend(bits, is_signed);
            Operation::Field { to: x(0), from: x(1), low, left, extend }
        };
        for (word, operation) in [
            (0x8b22_8820, add(extend(8, true), 2)),
            (0x8b22_a820, add(extend(16, true), 2)),
            (0x8b22_c820, add(extend(32, true), 2)),
            (0x8b22_4020, add(extend(32, false), 0)),
            (0x8b02_0820, add(extend(64, false), 2)),
            (0x8b02_0020, add(extend(64, false), 0)),
            (0x0b02_0020, add(extend(32, false), 0)),
            (0x8b42_0820, Operation::Other),
            (0xcb02_0020, Operation::Other),
            (0xd37e_f420, field(0, 2, 62, false)),
            (0x531e_7420, field(0, 2, 30, false)),
            (0x9340_7c20, field(0, 0, 32, true)),
            (0x1300_1c20, field(0, 0, 8, true)),
            (0x5300_1c20, field(0, 0, 8, false)),
            (0x5303_1820, field(3, 0, 4, false)),
            (0x531d_7c20, field(29, 0, 3, false)),
            (0xd37e_7c20, field(0, 2, 32, false)),
            (0x937e_7c20, field(0, 2, 32, true)),
            (0x3300_1c20, Operation::Other),
        ] {
            assert_eq!(decode(word), operation, "{word:#010x}");
        }
    }

    #[test]
    fn spills() {
        let sp = x(31);
        let pair =
            |is_load| Operation::Pair { first: x(0), second: x(1), base: sp, offset: 16, is_load };
        let store = Operation::Store { source: x(0), base: sp, offset: 8 };
        for (word, operation) in [
            (0xf900_07e0, store),
            (0xb900_0be0, Operation::Other),
            (0xa901_07e0, pair(false)),
            (0xa941_07e0, pair(true)),
            (0xa97f_07e0, Operation::Other),
            (0xa9bf_07e0, Operation::Other),
            (0xa8c1_07e0, Operation::Other),
            (0x2901_07e0, Operation::Other),
            (0xad01_07e0, Operation::Other),
        ] {
            assert_eq!(decode(word), operation, "{word:#010x}");
        }
        // add sp, sp, #16; and sp, x0, #-16; sub sp, sp, x0
        for word in [0x9100_43ff, 0x927c_ec1f, 0xcb20_63ff] {
            assert!(writes_stack_pointer(word), "{word:#010x}");
        }
        // cmp x1, #5; cmn x1, #1; cmp x1, x0, lsr #4; tst x0, #7
        for word in [0xf100_143f, 0xb100_043f, 0xeb40_103f, 0xf240_081f] {
            assert!(!writes_stack_pointer(word), "{word:#010x}");
        }
    }

    #[test]
    fn masks_and_flags() {
        let mask = |mask, sets_flags| Operation::Mask { to: x(0), from: x(1), mask, sets_flags };
        let number = Operand::Number(5);
        let compare = |to, right| Operation::Compare { to, left: x(1), right };
        for (word, operation) in [
            (0x1200_1c20, mask(0xff, false)),
            (0x1200_0820, mask(7, false)),
            (0x9240_0820, mask(7, false)),
            (0x7200_0820, mask(7, true)),
            (0x121f_0020, Operation::Other),
            (0x7100_143f, compare(None, number)),
            (0xf100_143f, compare(None, number)),
            (0x7100_1420, compare(Some(x(0)), number)),
            (0x7140_143f, compare(None, Operand::Number(0x5000))),
            (0x6b02_003f, compare(None, Operand::Register(x(2)))),
            (0x3100_143f, Operation::SetsFlags),
            (0x6a02_003f, Operation::SetsFlags),
            (0x7a45_1822, Operation::SetsFlags),
            (0x1e61_2000, Operation::SetsFlags),
            (0xd51b_4200, Operation::SetsFlags),
            (0x1a82_0020, Operation::Other),
            (0x2a02_0020, Operation::Other),
        ] {
            assert_eq!(decode(word), operation, "{word:#010x}");
        }
    }
}
