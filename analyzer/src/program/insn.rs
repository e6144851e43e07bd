//! Decodes A64 instructions, as far as analyses of control flow, constants and caches need them.
//!
//! Encodings: Arm ARM (DDI 0487), C4.1 "A64 instruction set encoding". The decoder determines the
//! class of a word and only the operands that an analysis uses. For a word that belongs to no
//! class here, the full decoder ([`crate::arch`]) decides whether it is code or data.

use crate::addr::Svma;
use std::ops::Range;

/// A general-purpose register by number; 31 is the zero register or the stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Register(u8);

impl Register {
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

    /// The register in the five bits from `bit` upward.
    pub(super) const fn at(word: u32, bit: u32) -> Self {
        Self(((word >> bit) & 31) as u8)
    }
}

/// Numbers of the registers that a call preserves: x19 to x29 (AAPCS64, 6.1.1).
pub(crate) const CALLEE_SAVED: Range<usize> = 19..30;

/// The kind of a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Barrier {
    /// A context synchronisation event on this PE.
    Isb,
    /// Waits for earlier accesses and maintenance, in the inner shareable domain or in a domain
    /// that includes it.
    Dsb,
    /// A weaker DSB: for this PE only (NSH), or for loads or stores only, which completes no
    /// maintenance.
    WeakDsb,
    /// Orders data accesses.
    Dmb,
}

/// A cache maintenance operation, by virtual address or for the whole cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheOp {
    /// DC CVAU and the stronger cleans (CVAC, CVAP, CIVAC).
    CleanData,
    /// IC IVAU, broadcast in the inner shareable domain.
    InvalidateInsn,
    /// IC IALLUIS: the whole cache, broadcast in the inner shareable domain.
    InvalidateAll,
    /// IC IALLU: the whole cache of this PE only.
    InvalidateLocal,
}

/// A constant, and how an instruction makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Constant {
    /// An immediate value: ADR, ADRP, MOVZ, MOVN.
    Value(u64),
    /// The register's previous value with 16 bits replaced: MOVK.
    Keep {
        /// The 16 bits.
        bits: u64,
        /// Position of the 16 bits.
        shift: u32,
    },
    /// The sum of another register and a number: ADD, SUB, MOV.
    Sum {
        /// The register.
        from: Register,
        /// The number.
        add: i64,
    },
    /// The 8 bytes at an address: LDR (literal).
    Literal(Svma),
    /// The 8 bytes at a register and an offset in bytes: LDR (unsigned offset).
    Loaded {
        /// The register.
        base: Register,
        /// The offset in bytes.
        offset: u64,
    },
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Insn {
    /// B.
    Jump {
        /// The target.
        to: Svma,
    },
    /// B.cond, CBZ, CBNZ, TBZ, TBNZ.
    Branch {
        /// The target if the branch is taken.
        to: Svma,
    },
    /// BL.
    Call {
        /// The target.
        to: Svma,
    },
    /// BLR and its authenticating forms.
    CallRegister {
        /// The register that holds the target.
        register: Register,
    },
    /// BR and its authenticating forms.
    JumpRegister {
        /// The register that holds the target.
        register: Register,
    },
    /// RET and its authenticating forms.
    Return,
    /// ERET and its authenticating forms.
    ExceptionReturn,
    /// SVC.
    SupervisorCall,
    /// BRK, HLT, UDF, DRPS: execution does not continue with the next instruction.
    Trap,
    /// ISB, DSB, DMB.
    Barrier(Barrier),
    /// IC or DC.
    Cache(CacheOp),
    /// An instruction that loads a constant into a register.
    Constant {
        /// The register.
        register: Register,
        /// The constant. A 32-bit form clears the upper half.
        value: Constant,
        /// Whether it is a 32-bit form.
        is_word: bool,
    },
    /// A store of general-purpose registers.
    Store {
        /// The first register stored.
        source: Register,
        /// The register that holds the address.
        base: Register,
        /// Size of each register's access, in bytes.
        bytes: u8,
    },
    /// Anything else.
    Other {
        /// The register that the instruction may write.
        writes: Option<Register>,
    },
}

impl Insn {
    /// The target of a direct branch or call.
    #[must_use]
    pub const fn target(self) -> Option<Svma> {
        match self {
            Self::Jump { to } | Self::Branch { to } | Self::Call { to } => Some(to),
            _ => None,
        }
    }

    /// The instruction with another target, if it is a direct branch or call.
    #[must_use]
    pub(super) const fn with_target(self, to: Svma) -> Self {
        match self {
            Self::Jump { .. } => Self::Jump { to },
            Self::Branch { .. } => Self::Branch { to },
            Self::Call { .. } => Self::Call { to },
            other => other,
        }
    }

    /// Whether the instruction ends its basic block.
    #[must_use]
    pub const fn ends_block(self) -> bool {
        matches!(
            self,
            Self::Jump { .. }
                | Self::Branch { .. }
                | Self::JumpRegister { .. }
                | Self::Return
                | Self::ExceptionReturn
                | Self::Trap
        )
    }
}

/// Size of an instruction, in bytes.
pub const INSN_BYTES: u64 = 4;

const fn signed(word: u32, low: u32, bits: u32) -> i64 {
    let field = (word >> low) & ((1 << bits) - 1);
    (((field as i64) << (64 - bits)) >> (64 - bits)) * INSN_BYTES.cast_signed()
}

/// Decodes the instruction `word` at the address `at`.
#[must_use]
pub fn decode(word: u32, at: Svma) -> Insn {
    // op0 (bits 28:25): C4.1.
    match (word >> 25) & 0xf {
        0b1010 | 0b1011 => branch_or_system(word, at),
        0b1000 | 0b1001 => immediate(word, at),
        0b0101 | 0b1101 => register_form(word),
        op0 if op0 & 0b0101 == 0b0100 => memory(word, at),
        0b0000 if word >> 16 == 0 => Insn::Trap,
        // SVE, SME and floating point. Few of them write a general-purpose register, but an
        // analysis must not take a written register for unchanged.
        _ => Insn::Other { writes: Some(Register::at(word, 0)) },
    }
}

fn branch_or_system(word: u32, at: Svma) -> Insn {
    let to = |offset| at.wrapping_offset(offset);
    match word >> 24 {
        0x14..=0x17 => return Insn::Jump { to: to(signed(word, 0, 26)) },
        0x94..=0x97 => return Insn::Call { to: to(signed(word, 0, 26)) },
        0x54 | 0x34 | 0x35 | 0xb4 | 0xb5 => return Insn::Branch { to: to(signed(word, 5, 19)) },
        0x36 | 0x37 | 0xb6 | 0xb7 => return Insn::Branch { to: to(signed(word, 5, 14)) },
        0xd6 | 0xd7 => return branch_register(word),
        0xd4 => return exception(word),
        0xd5 => {}
        _ => return Insn::Other { writes: None },
    }
    match word & 0xffff_f0ff {
        0xd503_309f => return Insn::Barrier(dsb((word >> 8) & 15)),
        0xd503_30bf => return Insn::Barrier(Barrier::Dmb),
        0xd503_30df => return Insn::Barrier(Barrier::Isb),
        _ => {}
    }
    // DSB with the nXS qualifier encodes a domain only.
    if word & 0xffff_f3ff == 0xd503_323f {
        return Insn::Barrier(dsb((word >> 8) & 12 | 3));
    }
    // op1:CRn:CRm:op2 of SYS (C6.2, SYS; D24 for the cache operations).
    if word & 0xfff8_0000 == 0xd508_0000 {
        let operation = (word >> 5) & 0x3fff;
        let (op1, crn, crm, op2) =
            (operation >> 11, (operation >> 7) & 15, (operation >> 3) & 15, operation & 7);
        return match (op1, crn, crm, op2) {
            (0, 7, 1, 0) => Insn::Cache(CacheOp::InvalidateAll),
            (0, 7, 5, 0) => Insn::Cache(CacheOp::InvalidateLocal),
            (3, 7, 5, 1) => Insn::Cache(CacheOp::InvalidateInsn),
            (3, 7, 10..=14, 1) => Insn::Cache(CacheOp::CleanData),
            _ => Insn::Other { writes: None },
        };
    }
    // MRS and SYSL write a register. MSR and the hints do not.
    let reads_system = word & 0xffe0_0000 == 0xd520_0000;
    Insn::Other { writes: reads_system.then(|| Register::at(word, 0)) }
}

/// The kind of a DSB by its option (C6.2, DSB). Bits 3:2 are the domain: outer shareable,
/// non-shareable, inner shareable, full system. Bits 1:0 are 3 for both loads and stores.
const fn dsb(option: u32) -> Barrier {
    match option {
        3 | 11 | 15 => Barrier::Dsb,
        _ => Barrier::WeakDsb,
    }
}

fn branch_register(word: u32) -> Insn {
    if (word >> 16) & 31 != 31 {
        return Insn::Trap;
    }
    let register = Register::at(word, 5);
    match (word >> 21) & 15 {
        0 | 8 => Insn::JumpRegister { register },
        1 | 9 => Insn::CallRegister { register },
        2 => Insn::Return,
        4 => Insn::ExceptionReturn,
        _ => Insn::Trap,
    }
}

fn exception(word: u32) -> Insn {
    match ((word >> 21) & 7, word & 3) {
        (0, 1) => Insn::SupervisorCall,
        (0, _) => Insn::Other { writes: None },
        _ => Insn::Trap,
    }
}

fn immediate(word: u32, at: Svma) -> Insn {
    let register = Register::at(word, 0);
    let is_word = word >> 31 == 0;
    let constant = |value| Insn::Constant { register, value, is_word };
    match (word >> 23) & 7 {
        // ADR and ADRP are 64-bit; bit 31 distinguishes them.
        0 | 1 => {
            let field = ((word >> 5) & 0x7_ffff) << 2 | (word >> 29) & 3;
            let offset = i64::from((field << 11).cast_signed() >> 11);
            let value = if is_word {
                at.wrapping_offset(offset)
            } else {
                Svma(at.0 & !0xfff).wrapping_offset(offset << 12)
            };
            Insn::Constant { register, value: Constant::Value(value.0), is_word: false }
        }
        // ADD and SUB that do not set flags. A write to SP makes no constant.
        2 if word & (1 << 29) == 0 && register.0 != 31 => {
            let shift = if word & (1 << 22) == 0 { 0 } else { 12 };
            let amount = i64::from((word >> 10) & 0xfff) << shift;
            let add = if word & (1 << 30) == 0 { amount } else { -amount };
            let from = Register::at(word, 5);
            if from.0 == 31 {
                return Insn::Other { writes: Some(register) };
            }
            constant(Constant::Sum { from, add })
        }
        // Move wide.
        5 => {
            let shift = ((word >> 21) & 3) * 16;
            let bits = u64::from((word >> 5) & 0xffff);
            match (word >> 29) & 3 {
                0 => constant(Constant::Value(!(bits << shift))),
                2 => constant(Constant::Value(bits << shift)),
                3 => constant(Constant::Keep { bits, shift }),
                _ => Insn::Other { writes: Some(register) },
            }
        }
        _ => Insn::Other { writes: Some(register) },
    }
}

fn register_form(word: u32) -> Insn {
    let register = Register::at(word, 0);
    // ORR with the zero register and no shift: MOV.
    if word & 0x7fe0_ffe0 == 0x2a00_03e0 {
        let from = Register::at(word, 16);
        let value = if from.0 == 31 { Constant::Value(0) } else { Constant::Sum { from, add: 0 } };
        return Insn::Constant { register, value, is_word: word >> 31 == 0 };
    }
    Insn::Other { writes: Some(register) }
}

fn memory(word: u32, at: Svma) -> Insn {
    let (register, base) = (Register::at(word, 0), Register::at(word, 5));
    let is_vector = word & (1 << 26) != 0;
    let size = word >> 30;
    match (word >> 27) & 7 {
        // LDR (literal), LDRSW, PRFM.
        3 if (word >> 24) & 3 == 0 => match (is_vector, size) {
            (false, 1) => {
                let value = Constant::Literal(at.wrapping_offset(signed(word, 5, 19)));
                Insn::Constant { register, value, is_word: false }
            }
            (false, 0 | 2) => Insn::Other { writes: Some(register) },
            _ => Insn::Other { writes: None },
        },
        // Pairs: bit 22 distinguishes loads from stores.
        5 => match (is_vector, word & (1 << 22) != 0) {
            (false, false) => {
                Insn::Store { source: register, base, bytes: if size == 2 { 8 } else { 4 } }
            }
            (false, true) => Insn::Other { writes: Some(register) },
            (true, _) => Insn::Other { writes: None },
        },
        7 => match (is_vector, (word >> 22) & 3) {
            (true, _) => Insn::Other { writes: None },
            (false, 0) if !is_atomic(word) => {
                Insn::Store { source: register, base, bytes: 1 << size }
            }
            (false, 1) if size == 3 && (word >> 24) & 3 == 1 => {
                let offset = u64::from((word >> 10) & 0xfff) * 8;
                Insn::Constant {
                    register,
                    value: Constant::Loaded { base, offset },
                    is_word: false,
                }
            }
            _ => Insn::Other { writes: Some(register) },
        },
        // Exclusives, ordered accesses, compare and swap: STLR and similar are stores.
        1 if word & 0x00c0_8000 == 0x0080_8000 => {
            Insn::Store { source: register, base, bytes: 1 << size }
        }
        // A load writes its destination, an exclusive store its status, and CAS the register that
        // it compares.
        1 if word & (1 << 22) != 0 && word & 0x00a0_0000 != 0x00a0_0000 => {
            Insn::Other { writes: Some(register) }
        }
        1 => Insn::Other { writes: Some(Register::at(word, 16)) },
        _ => Insn::Other { writes: Some(register) },
    }
}

/// Whether a word in the encoding space of stores with a register offset is an atomic memory
/// operation.
const fn is_atomic(word: u32) -> bool {
    (word >> 24) & 3 == 0 && word & (1 << 21) != 0 && (word >> 10) & 3 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Svma = Svma(0xffff_8000_1001_0000);

    fn x(number: u8) -> Register {
        Register::new(number).unwrap()
    }

    /// Words as `llvm-mc -triple=aarch64 -mattr=+all -show-encoding` makes them.
    #[test]
    fn control_flow() {
        let to = |offset| AT.wrapping_offset(offset);
        for (word, insn) in [
            (0x1400_0002, Insn::Jump { to: to(8) }),
            (0x17ff_ffff, Insn::Jump { to: to(-4) }),
            (0x97ff_fffe, Insn::Call { to: to(-8) }),
            (0x5400_0041, Insn::Branch { to: to(8) }),
            (0xb4ff_ffe0, Insn::Branch { to: to(-4) }),
            (0x3500_0060, Insn::Branch { to: to(12) }),
            (0x3600_0040, Insn::Branch { to: to(8) }),
            (0xb7ff_ffe3, Insn::Branch { to: to(-4) }),
            (0xd61f_0200, Insn::JumpRegister { register: x(16) }),
            (0xd71f_0a11, Insn::JumpRegister { register: x(16) }),
            (0xd61f_081f, Insn::JumpRegister { register: x(0) }),
            (0xd63f_0020, Insn::CallRegister { register: x(1) }),
            (0xd73f_0822, Insn::CallRegister { register: x(1) }),
            (0xd63f_0c3f, Insn::CallRegister { register: x(1) }),
            (0xd65f_03c0, Insn::Return),
            (0xd65f_0bff, Insn::Return),
            (0xd69f_03e0, Insn::ExceptionReturn),
            (0xd400_0001, Insn::SupervisorCall),
            (0xd400_0002, Insn::Other { writes: None }),
            (0xd420_0000, Insn::Trap),
            (0x0000_0000, Insn::Trap),
            (0xd503_201f, Insn::Other { writes: None }),
            (0xd503_245f, Insn::Other { writes: None }),
            (0xd503_233f, Insn::Other { writes: None }),
        ] {
            assert_eq!(decode(word, AT), insn, "{word:#010x}");
        }
    }

    #[test]
    fn barriers_and_caches() {
        for (word, insn) in [
            (0xd503_3fdf, Insn::Barrier(Barrier::Isb)),
            (0xd503_3b9f, Insn::Barrier(Barrier::Dsb)),
            (0xd503_3bbf, Insn::Barrier(Barrier::Dmb)),
            (0xd503_3f9f, Insn::Barrier(Barrier::Dsb)),
            (0xd503_339f, Insn::Barrier(Barrier::Dsb)),
            (0xd503_379f, Insn::Barrier(Barrier::WeakDsb)),
            (0xd503_3a9f, Insn::Barrier(Barrier::WeakDsb)),
            (0xd503_399f, Insn::Barrier(Barrier::WeakDsb)),
            (0xd503_3e3f, Insn::Barrier(Barrier::Dsb)),
            (0xd503_363f, Insn::Barrier(Barrier::WeakDsb)),
            (0xd50b_7523, Insn::Cache(CacheOp::InvalidateInsn)),
            (0xd508_751f, Insn::Cache(CacheOp::InvalidateLocal)),
            (0xd508_711f, Insn::Cache(CacheOp::InvalidateAll)),
            (0xd50b_7b24, Insn::Cache(CacheOp::CleanData)),
            (0xd50b_7e20, Insn::Cache(CacheOp::CleanData)),
            (0xd508_871f, Insn::Other { writes: None }),
            (0xd53b_0023, Insn::Other { writes: Some(x(3)) }),
        ] {
            assert_eq!(decode(word, AT), insn, "{word:#010x}");
        }
    }

    #[test]
    fn constants() {
        let constant =
            |register, value, is_word| Insn::Constant { register: x(register), value, is_word };
        for (word, insn) in [
            (0xb000_0001, constant(1, Constant::Value(AT.0 + 0x1000), false)),
            (0xf0ff_ffe2, constant(2, Constant::Value(AT.0 - 0x1000), false)),
            (0x1000_0043, constant(3, Constant::Value(AT.0 + 8), false)),
            (0x911d_4021, constant(1, Constant::Sum { from: x(1), add: 0x750 }, false)),
            (0xd100_4041, constant(1, Constant::Sum { from: x(2), add: -16 }, false)),
            (0x5282_0101, constant(1, Constant::Value(0x1008), true)),
            (0x72ba_a061, constant(1, Constant::Keep { bits: 0xd503, shift: 16 }, true)),
            (0x1280_0000, constant(0, Constant::Value(u64::MAX), true)),
            (0xaa01_03e0, constant(0, Constant::Sum { from: x(1), add: 0 }, false)),
            (0x2a1f_03e3, constant(3, Constant::Value(0), true)),
            (0x5800_0045, constant(5, Constant::Literal(Svma(AT.0 + 8)), false)),
            (0xf940_0841, constant(1, Constant::Loaded { base: x(2), offset: 16 }, false)),
        ] {
            assert_eq!(decode(word, AT), insn, "{word:#010x}");
        }
    }

    #[test]
    fn stores_and_loads() {
        let store = |source, base, bytes| Insn::Store { source: x(source), base: x(base), bytes };
        for (word, insn) in [
            (0xb900_0001, store(1, 0, 4)),
            (0xf800_8c22, store(2, 1, 8)),
            (0xa9bf_7bfd, store(29, 31, 8)),
            (0x889f_fc01, store(1, 0, 4)),
            (0xb862_6823, Insn::Other { writes: Some(x(3)) }),
            (0xa940_0440, Insn::Other { writes: Some(x(0)) }),
            (0xb842_0041, Insn::Other { writes: Some(x(1)) }),
            (0xc8df_fc41, Insn::Other { writes: Some(x(1)) }),
            (0xc803_7c41, Insn::Other { writes: Some(x(3)) }),
            (0xc8e3_fc41, Insn::Other { writes: Some(x(3)) }),
            (0x3d80_0000, Insn::Other { writes: None }),
        ] {
            assert_eq!(decode(word, AT), insn, "{word:#010x}");
        }
    }
}
