//! The front end for A64: yaxpeax-arm names the instruction, and its fields are read from the
//! word, which has them at the same bits throughout a class (Arm ARM DDI 0487, C4.1).

use super::a64_fields::{
    FLAGS, bit, bits, changes, jump_target, logical, opaque, opaque_with_flags, option, signed,
    width, zero_or,
};
use super::a64_memory::{memory, store_of_block};
use super::control::{Barrier, CacheOp, Condition, Control, Test};
use super::operand::{Extend, Logic, Operand, Register, Shift};
use super::operation::Operation;
use crate::addr::Svma;
use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand as Decoded};

/// Decodes the A64 instruction `word` at the address `at`.
#[must_use]
pub fn a64(word: u32, at: Svma) -> Operation {
    // Register forms of branches with an unknown Rm, and UDF, are no code that continues.
    if word >> 16 == 0 {
        return Operation::Control(Control::Trap);
    }
    let Ok(insn) = InstDecoder::default().decode(&mut U8Reader::new(&word.to_le_bytes())) else {
        return undecoded(word);
    };
    // op0, bits 28:25.
    let operation = match bits(word, 25, 4) {
        0b1010 | 0b1011 => Some(branch_or_system(word, at, &insn)),
        0b1000 | 0b1001 => immediate(word, at, insn.opcode),
        0b0101 | 0b1101 => register_form(word, insn.opcode),
        0b0111 | 0b1111 => Some(vector(&insn)),
        op0 if op0 & 0b0101 == 0b0100 => memory(word, at, insn.opcode),
        _ => None,
    };
    operation.unwrap_or(Operation::Unknown)
}

/// Words that yaxpeax-arm does not decode, and whose effect is known nevertheless.
fn undecoded(word: u32) -> Operation {
    match bits(word, 25, 4) {
        // ADDG and SUBG.
        0b1000 if word & 0xbfc0_c000 == 0x9180_0000 => changes(Register::or_sp(word)),
        // Branches and system instructions: hints, barriers with qualifiers, and SYS, SYSL, MSR,
        // MRS with operands that are newer than the decoder. None writes memory that is data,
        // but GCS and SYSP are not modelled.
        0b1010 if word & 0xffff_f01f == 0xd503_201f => Operation::Nothing,
        0b1010 if word & 0xffff_f3ff == 0xd503_323f => dsb(bits(word, 8, 4) & 12 | 3),
        0b1010 if word & 0xfff0_0000 == 0xd530_0000 => read_of_system_register(word),
        // SYSL.
        0b1010 if word & 0xfff8_0000 == 0xd528_0000 => opaque(word),
        _ => Operation::Unknown,
    }
}

fn branch_or_system(word: u32, at: Svma, insn: &Instruction) -> Operation {
    let control = match insn.opcode {
        Opcode::B => Control::Jump { to: jump_target(word, at, 0, 26) },
        Opcode::BL => Control::Call { to: jump_target(word, at, 0, 26) },
        Opcode::Bcc(condition) | Opcode::BCcc(condition) => {
            let test = Test::Flags(Condition(condition));
            Control::Branch { to: jump_target(word, at, 5, 19), test }
        }
        Opcode::CBZ | Opcode::CBNZ => {
            let test = Test::Zero {
                register: Register::or_zero(word),
                width: width(word),
                is_not: bit(word, 24),
            };
            Control::Branch { to: jump_target(word, at, 5, 19), test }
        }
        Opcode::TBZ | Opcode::TBNZ => {
            let number = bits(word, 31, 1) << 5 | bits(word, 19, 5);
            let test = Test::Bit {
                register: Register::or_zero(word),
                bit: number.to_le_bytes()[0],
                is_not: bit(word, 24),
            };
            Control::Branch { to: jump_target(word, at, 5, 14), test }
        }
        Opcode::SVC => Control::SupervisorCall,
        Opcode::HVC | Opcode::SMC => Control::FirmwareCall,
        Opcode::ISB => Control::Barrier(Barrier::Isb),
        Opcode::DMB(_) => Control::Barrier(Barrier::Dmb),
        Opcode::DSB(_) => return dsb(bits(word, 8, 4)),
        Opcode::SYS(_) => return system(word),
        Opcode::SYSL(_) => return opaque(word),
        Opcode::MRS => return read_of_system_register(word),
        Opcode::MSR => return msr(word),
        // Authentication in x17 and x30 keeps the pointer, and so does stripping.
        _ if bits(word, 24, 8) == 0xd5 => return Operation::Nothing,
        _ => return branch_register(word),
    };
    Operation::Control(control)
}

/// The kind of a DSB by its option (C6.2, DSB). Bits 3:2 are the domain: outer shareable,
/// non-shareable, inner shareable, full system. Bits 1:0 are 3 for both loads and stores.
const fn dsb(option: u32) -> Operation {
    Operation::Control(Control::Barrier(match option {
        3 | 11 | 15 => Barrier::Dsb,
        _ => Barrier::WeakDsb,
    }))
}

/// SYS (D24 for the cache operations).
fn system(word: u32) -> Operation {
    let operation = (bits(word, 16, 3), bits(word, 12, 4), bits(word, 8, 4), bits(word, 5, 3));
    let register = Register::or_zero(word);
    let cache = match operation {
        (0, 7, 1, 0) => CacheOp::InvalidateAll,
        (0, 7, 5, 0) => CacheOp::InvalidateLocal,
        (3, 7, 5, 1) => CacheOp::InvalidateInsn,
        (3, 7, 10..=14, 1) => CacheOp::CleanData,
        // DC ZVA and the forms for tags write memory.
        (3, 7, 4, _) => return store_of_block(register),
        // AT, TLBI and other maintenance change no register.
        _ => return Operation::Nothing,
    };
    Operation::Control(Control::Cache(cache, register))
}

/// MRS. A read of RNDR or RNDRRS tells by the flags whether it succeeded (Arm ARM C6.2, MRS).
fn read_of_system_register(word: u32) -> Operation {
    let is_random_number = word & 0xffff_ffc0 == 0xd53b_2400;
    if is_random_number { opaque_with_flags(word) } else { opaque(word) }
}

/// MSR (immediate) and MSR (register). NZCV is op0=3 op1=3 CRn=4 CRm=2 op2=0; CFINV, XAFLAG and
/// AXFLAG share the encoding of MSR (immediate).
fn msr(word: u32) -> Operation {
    let is_nzcv = word & 0xffff_ffe0 == 0xd51b_4200;
    let is_flags = word & 0xffff_ff1f == 0xd500_401f && bits(word, 5, 3) < 3;
    if is_nzcv || is_flags { FLAGS } else { Operation::Nothing }
}

/// Branches to a register, and exceptions (C4.1.86).
fn branch_register(word: u32) -> Operation {
    if bits(word, 25, 7) != 0b110_1011 || bits(word, 16, 5) != 31 {
        return Operation::Control(Control::Trap);
    }
    let target = Register::or_zero(word >> 5);
    let control = match (bits(word, 21, 4), target) {
        (0 | 8, Some(register)) => Control::JumpRegister { register },
        (1 | 9, Some(register)) => Control::CallRegister { register },
        (2, _) => Control::Return,
        (4, _) => Control::ExceptionReturn,
        _ => Control::Trap,
    };
    Operation::Control(control)
}

fn immediate(word: u32, at: Svma, opcode: Opcode) -> Option<Operation> {
    let width = width(word);
    let operation = match opcode {
        Opcode::ADR | Opcode::ADRP => {
            let Some(to) = Register::or_zero(word) else { return Some(Operation::Nothing) };
            let offset = signed(word, 5, 19) << 2 | i64::from(bits(word, 29, 2));
            let value = match opcode {
                Opcode::ADR => at.wrapping_offset(offset),
                _ => Svma(at.0 & !0xfff).wrapping_offset(offset << 12),
            };
            Operation::Set { to, value: value.0 }
        }
        Opcode::ADD | Opcode::ADDS | Opcode::SUB | Opcode::SUBS => {
            let number = u64::from(bits(word, 10, 12)) << (12 * bits(word, 22, 1));
            let sets_flags = bit(word, 29);
            let to = if sets_flags { Register::or_zero(word) } else { Some(Register::or_sp(word)) };
            let logic = if bit(word, 30) { Logic::Sub } else { Logic::Add };
            let left = Operand::Register(Register::or_sp(word >> 5));
            let right = Operand::Number(number);
            Operation::Binary { to, logic, left, right, width, sets_flags }
        }
        Opcode::AND | Opcode::ORR | Opcode::EOR | Opcode::ANDS => {
            let number = logical(word)?;
            let sets_flags = bits(word, 29, 2) == 3;
            let to = if sets_flags { Register::or_zero(word) } else { Some(Register::or_sp(word)) };
            let logic = [Logic::And, Logic::Or, Logic::Xor, Logic::And][bits(word, 29, 2) as usize];
            let left = zero_or(word >> 5);
            // MOV (bitmask immediate).
            if let (Logic::Or, Operand::Number(0), Some(to)) = (logic, left, to) {
                return Some(Operation::Set { to, value: number });
            }
            Operation::Binary { to, logic, left, right: Operand::Number(number), width, sets_flags }
        }
        Opcode::MOVN | Opcode::MOVZ | Opcode::MOVK => {
            let Some(to) = Register::or_zero(word) else { return Some(Operation::Nothing) };
            let shift = bits(word, 21, 2) * 16;
            let number = u64::from(bits(word, 5, 16)) << shift;
            match opcode {
                Opcode::MOVN => Operation::Set { to, value: !number & width.mask() },
                Opcode::MOVZ => Operation::Set { to, value: number },
                _ => Operation::Insert { to, mask: 0xffff << shift, bits: number, width },
            }
        }
        Opcode::UBFM | Opcode::SBFM | Opcode::BFM => bitfield(word, opcode)?,
        // EXTR: ROR with an immediate if both sources are one register.
        Opcode::EXTR => match (bits(word, 5, 5) == bits(word, 16, 5), Register::or_zero(word)) {
            (true, Some(to)) => Operation::Binary {
                to: Some(to),
                logic: Logic::Rotate,
                left: zero_or(word >> 5),
                right: Operand::Number(u64::from(bits(word, 10, 6))),
                width,
                sets_flags: false,
            },
            _ => opaque(word),
        },
        // ADDG and SUBG change the tag of a pointer.
        _ => changes(Register::or_sp(word)),
    };
    Some(operation)
}

/// UBFM, SBFM and BFM (C6.2).
fn bitfield(word: u32, opcode: Opcode) -> Option<Operation> {
    let width = width(word);
    let size = width.bits();
    let (immr, imms) = (bits(word, 16, 6), bits(word, 10, 6));
    if immr >= size || imms >= size || bits(word, 22, 1) != bits(word, 31, 1) {
        return None;
    }
    let Some(to) = Register::or_zero(word) else { return Some(Operation::Nothing) };
    let (low, left, count) =
        if imms >= immr { (immr, 0, imms - immr + 1) } else { (0, size - immr, imms + 1) };
    let is_signed = matches!(opcode, Opcode::SBFM);
    let keeps = matches!(opcode, Opcode::BFM);
    let extend = Extend { bits: count, is_signed };
    let from = Register::or_zero(word >> 5);
    Some(Operation::Field { to, from, low, extend, left, keeps, width })
}

fn register_form(word: u32, opcode: Opcode) -> Option<Operation> {
    let width = width(word);
    let to = Register::or_zero(word);
    let left = zero_or(word >> 5);
    let right = zero_or(word >> 16);
    let binary = |logic| Operation::Binary { to, logic, left, right, width, sets_flags: false };
    let operation = match opcode {
        Opcode::ADD | Opcode::ADDS | Opcode::SUB | Opcode::SUBS if bit(word, 21) => {
            extended_sum(word)
        }
        Opcode::ADD | Opcode::ADDS | Opcode::SUB | Opcode::SUBS => {
            let logic = if bit(word, 30) { Logic::Sub } else { Logic::Add };
            let right = shifted(word);
            Operation::Binary { to, logic, left, right, width, sets_flags: bit(word, 29) }
        }
        Opcode::AND
        | Opcode::BIC
        | Opcode::ORR
        | Opcode::ORN
        | Opcode::EOR
        | Opcode::EON
        | Opcode::ANDS
        | Opcode::BICS => {
            let opc = bits(word, 29, 2);
            let plain = [Logic::And, Logic::Or, Logic::Xor, Logic::And][opc as usize];
            let inverted = [Logic::AndNot, Logic::OrNot, Logic::XorNot, Logic::AndNot];
            let logic = if bit(word, 21) { inverted[opc as usize] } else { plain };
            Operation::Binary { to, logic, left, right: shifted(word), width, sets_flags: opc == 3 }
        }
        Opcode::CSEL | Opcode::CSINC | Opcode::CSINV | Opcode::CSNEG => Operation::Select {
            to,
            condition: Condition(bits(word, 12, 4).to_le_bytes()[0]),
            then: left,
            otherwise: right,
            increment: u64::from(bit(word, 10)),
            complements: bit(word, 30),
            width,
        },
        Opcode::CCMN | Opcode::CCMP => Operation::ConditionalCompare,
        Opcode::SETF8 | Opcode::SETF16 | Opcode::RMIF => FLAGS,
        Opcode::ADCS | Opcode::SBCS | Opcode::SUBPS => opaque_with_flags(word),
        Opcode::MADD if bits(word, 10, 5) == 31 => binary(Logic::Mul),
        Opcode::UDIV => binary(Logic::DivUnsigned),
        Opcode::SDIV => binary(Logic::DivSigned),
        Opcode::LSLV => binary(Logic::ShiftLeft),
        Opcode::LSRV => binary(Logic::ShiftRight),
        Opcode::ASRV => binary(Logic::ShiftArithmetic),
        Opcode::RORV => binary(Logic::Rotate),
        // An authenticated or signed pointer points where it did.
        Opcode::PACIA
        | Opcode::PACIB
        | Opcode::PACDA
        | Opcode::PACDB
        | Opcode::AUTIA
        | Opcode::AUTIB
        | Opcode::AUTDA
        | Opcode::AUTDB
        | Opcode::PACIZA
        | Opcode::PACIZB
        | Opcode::PACDZA
        | Opcode::PACDZB
        | Opcode::AUTIZA
        | Opcode::AUTIZB
        | Opcode::AUTDZA
        | Opcode::AUTDZB
        | Opcode::XPACI
        | Opcode::XPACD => opaque(word),
        // IRG has a stack pointer as destination.
        Opcode::IRG => changes(Register::or_sp(word)),
        _ => opaque(word),
    };
    Some(operation)
}

/// ADD and SUB (extended register).
fn extended_sum(word: u32) -> Operation {
    let sets_flags = bit(word, 29);
    let to = if sets_flags { Register::or_zero(word) } else { Some(Register::or_sp(word)) };
    let right = Register::or_zero(word >> 16).map_or(Operand::Number(0), |register| {
        Operand::Shifted(register, option(word), Shift::Left(bits(word, 10, 3)))
    });
    Operation::Binary {
        to,
        logic: if bit(word, 30) { Logic::Sub } else { Logic::Add },
        left: Operand::Register(Register::or_sp(word >> 5)),
        right,
        width: width(word),
        sets_flags,
    }
}

/// The shifted register of a data-processing instruction.
fn shifted(word: u32) -> Operand {
    let Some(register) = Register::or_zero(word >> 16) else { return Operand::Number(0) };
    let amount = bits(word, 10, 6);
    let shift = match bits(word, 22, 2) {
        _ if amount == 0 => return Operand::Register(register),
        0 => Shift::Left(amount),
        1 => Shift::Right(amount),
        2 => Shift::Arithmetic(amount),
        _ => Shift::Rotate(amount),
    };
    Operand::Shifted(register, Extend::NONE, shift)
}

/// Vector and floating-point instructions: those that move a value to a general-purpose register,
/// and those that compare.
fn vector(insn: &Instruction) -> Operation {
    if let Decoded::Register(_, number) | Decoded::RegisterOrSP(_, number) = insn.operands[0] {
        let to = Register::or_zero(u32::from(number));
        return match (insn.opcode, to) {
            (Opcode::FJCVTZS, _) => opaque_with_flags(u32::from(number)),
            (_, Some(to)) => changes(to),
            (_, None) => Operation::Nothing,
        };
    }
    match insn.opcode {
        Opcode::FCMP | Opcode::FCMPE | Opcode::FCCMP | Opcode::FCCMPE => FLAGS,
        _ => Operation::Nothing,
    }
}
