//! A64 encodings of the modelled instructions (Arm ARM C4.1, "A64 instruction set encoding"): the
//! values of loads of code, and the instructions that are fetched from written words.

use super::insn::{Alu, Barrier, Cond, ContextSync, Insn, LR, Operand, Reg, ZR};

/// Decodes `word` at position `at` of a program of `len` instructions; [`Insn::Undefined`] if the
/// model does not have the instruction or its target is outside of the program.
#[must_use]
pub(crate) fn decode(word: u32, at: u16, len: usize) -> Insn {
    try_decode(word, at, len).unwrap_or(Insn::Undefined)
}

fn field(word: u32, low: u32, bits: u32) -> u32 {
    (word >> low) & ((1 << bits) - 1)
}

fn reg(word: u32, low: u32) -> Reg {
    // The mask leaves five bits.
    field(word, low, 5).to_le_bytes()[0]
}

fn target(word: u32, low: u32, bits: u32, at: u16, len: usize) -> Option<u16> {
    let raw = i64::from(field(word, low, bits));
    let offset = if raw >> (bits - 1) == 1 { raw - (1 << bits) } else { raw };
    let to = i64::from(at) + offset;
    (0..i64::try_from(len).ok()?).contains(&to).then(|| u16::try_from(to).ok())?
}

fn barrier(word: u32) -> Option<Barrier> {
    match field(word, 8, 4) {
        15 | 11 => Some(Barrier::Full),
        13 | 9 => Some(Barrier::Ld),
        14 | 10 => Some(Barrier::St),
        _ => None,
    }
}

fn try_decode(word: u32, at: u16, len: usize) -> Option<Insn> {
    let w = word >> 31 == 0;
    Some(match word {
        0xd503_201f => Insn::Nop,
        _ if word & 0xfc00_0000 == 0x1400_0000 => Insn::B { to: target(word, 0, 26, at, len)? },
        _ if word & 0xfc00_0000 == 0x9400_0000 => Insn::Bl { to: target(word, 0, 26, at, len)? },
        _ if word & 0xff00_0010 == 0x5400_0000 => Insn::BCond {
            cond: Cond(field(word, 0, 4).to_le_bytes()[0]),
            to: target(word, 5, 19, at, len)?,
        },
        _ if word & 0x7e00_0000 == 0x3400_0000 => Insn::Cb {
            t: reg(word, 0),
            nonzero: word & (1 << 24) != 0,
            w,
            to: target(word, 5, 19, at, len)?,
        },
        _ if word & 0x7e00_0000 == 0x3600_0000 => Insn::Tb {
            t: reg(word, 0),
            bit: (field(word, 19, 5) | field(word, 31, 1) << 5).to_le_bytes()[0],
            nonzero: word & (1 << 24) != 0,
            to: target(word, 5, 14, at, len)?,
        },
        _ if word & 0xffff_fc1f == 0xd61f_0000 || word & 0xffff_fc1f == 0xd65f_0000 => {
            Insn::Br { n: reg(word, 5), link: false }
        }
        _ if word & 0xffff_fc1f == 0xd63f_0000 => Insn::Br { n: reg(word, 5), link: true },
        _ if word & 0x7fe0_0000 == 0x5280_0000 => {
            Insn::Const { d: reg(word, 0), value: u64::from(field(word, 5, 16)) }
        }
        _ if word & 0x7fe0_ffe0 == 0x2a00_03e0 => Insn::Alu {
            op: Alu::Orr,
            d: reg(word, 0),
            n: ZR,
            m: Operand::Reg { reg: reg(word, 16), sxtw: false },
            w,
            flags: false,
        },
        _ if word & 0x7fe0_fc00 == 0x4a00_0000 || word & 0x7fe0_fc00 == 0x0b00_0000 => Insn::Alu {
            op: if word & 0x4000_0000 != 0 { Alu::Eor } else { Alu::Add },
            d: reg(word, 0),
            n: reg(word, 5),
            m: Operand::Reg { reg: reg(word, 16), sxtw: false },
            w,
            flags: false,
        },
        _ if word & 0xffff_f0ff == 0xd503_30bf => Insn::Dmb(barrier(word)?),
        _ if word & 0xffff_f0ff == 0xd503_309f => Insn::Dsb(barrier(word)?),
        _ if word & 0xffff_f0ff == 0xd503_30df => Insn::Sync(ContextSync::Isb),
        _ if word & 0xbfff_fc00 == 0xb940_0000 => Insn::Ldr {
            t: reg(word, 0),
            n: reg(word, 5),
            off: Operand::Imm(0),
            w: word & 0x4000_0000 == 0,
        },
        _ if word & 0xbfff_fc00 == 0xb900_0000 => Insn::Str {
            t: reg(word, 0),
            n: reg(word, 5),
            off: Operand::Imm(0),
            w: word & 0x4000_0000 == 0,
            release: false,
        },
        _ => return None,
    })
}

/// Encodes `insn` at position `at`; `None` for instructions that no test has needed.
#[must_use]
pub(crate) fn encode(insn: &Insn, at: u16) -> Option<u32> {
    let offset = |to: u16, bits: u32| {
        let raw = (i32::from(to) - i32::from(at)).cast_unsigned();
        raw & ((1 << bits) - 1)
    };
    let size = |w: bool| if w { 0 } else { 1 << 31 };
    let option = |barrier: Barrier| match barrier {
        Barrier::Full => 15 << 8,
        Barrier::Ld => 13 << 8,
        Barrier::St => 14 << 8,
    };
    Some(match *insn {
        Insn::Nop => 0xd503_201f,
        Insn::B { to } => 0x1400_0000 | offset(to, 26),
        Insn::Bl { to } => 0x9400_0000 | offset(to, 26),
        Insn::BCond { cond, to } => 0x5400_0000 | offset(to, 19) << 5 | u32::from(cond.0),
        Insn::Cb { t, nonzero, w, to } => {
            0x3400_0000 | size(w) | u32::from(nonzero) << 24 | offset(to, 19) << 5 | u32::from(t)
        }
        Insn::Tb { t, bit, nonzero, to } => {
            let bit = u32::from(bit);
            0x3600_0000
                | (bit >> 5) << 31
                | u32::from(nonzero) << 24
                | (bit & 31) << 19
                | offset(to, 14) << 5
                | u32::from(t)
        }
        Insn::Br { n: LR, link: false } => 0xd65f_03c0,
        Insn::Br { n, link: false } => 0xd61f_0000 | u32::from(n) << 5,
        Insn::Br { n, link: true } => 0xd63f_0000 | u32::from(n) << 5,
        Insn::Const { d, value } if value < 1 << 16 => {
            0x5280_0000 | u32::try_from(value).ok()? << 5 | u32::from(d)
        }
        Insn::Dmb(barrier) => 0xd503_30bf | option(barrier),
        Insn::Dsb(barrier) => 0xd503_309f | option(barrier),
        Insn::Sync(ContextSync::Isb) => 0xd503_3fdf,
        Insn::Ldr { t, n, off: Operand::Imm(0), w } => {
            0xb940_0000 | size(w) >> 1 | u32::from(n) << 5 | u32::from(t)
        }
        Insn::Str { t, n, off: Operand::Imm(0), w, release: false } => {
            0xb900_0000 | size(w) >> 1 | u32::from(n) << 5 | u32::from(t)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words by `llvm-mc -triple=aarch64 -show-encoding`.
    #[test]
    fn known_words_are_encoded_and_decoded() {
        for (insn, word) in [
            (Insn::B { to: 11 }, 0x1400_0001),
            (Insn::B { to: 9 }, 0x17ff_ffff),
            (Insn::Bl { to: 12 }, 0x9400_0002),
            (Insn::Nop, 0xd503_201f),
            (Insn::Sync(ContextSync::Isb), 0xd503_3fdf),
            (Insn::Dmb(Barrier::Full), 0xd503_3fbf),
            (Insn::Dsb(Barrier::Ld), 0xd503_3d9f),
            (Insn::Br { n: LR, link: false }, 0xd65f_03c0),
            (Insn::Br { n: 5, link: true }, 0xd63f_00a0),
            (Insn::Const { d: 10, value: 2 }, 0x5280_004a),
            (Insn::Cb { t: 0, nonzero: true, w: true, to: 11 }, 0x3500_0020),
            (Insn::Tb { t: 3, bit: 33, nonzero: false, to: 12 }, 0xb608_0043),
            (Insn::BCond { cond: Cond(1), to: 12 }, 0x5400_0041),
            (Insn::Ldr { t: 1, n: 2, off: Operand::Imm(0), w: false }, 0xf940_0041),
            (Insn::Str { t: 1, n: 2, off: Operand::Imm(0), w: true, release: false }, 0xb900_0041),
        ] {
            assert_eq!(encode(&insn, 10), Some(word), "{insn:?}");
            assert_eq!(decode(word, 10, 100), insn, "{word:#x}");
        }
        assert_eq!(decode(0, 0, 100), Insn::Undefined);
        assert_eq!(decode(0x1400_0001, 10, 11), Insn::Undefined, "out of the program");
    }
}
