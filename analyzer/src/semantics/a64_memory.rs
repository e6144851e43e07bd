//! The loads and stores of A64 (Arm ARM DDI 0487, C4.1.94).

use super::a64_fields::{bit, bits, jump_target, opaque, option, signed, zero_or};
use super::access::{Access, AccessKind, Address, Update};
use super::operand::{Extend, Operand, Register, Width};
use super::operation::Operation;
use crate::addr::Svma;
use yaxpeax_arm::armv8::a64::Opcode;

/// The largest block of DC ZVA, in bytes (DCZID_EL0.BS, Arm ARM D24.2.41).
const MAX_BLOCK: u32 = 2048;

/// DC ZVA and its forms for tags: a store to the aligned block that has the address in a register.
/// The size of the block is not known, and the address may be anywhere in it.
pub(super) fn store_of_block(register: Option<Register>) -> Operation {
    let Some(base) = register else { return Operation::Unknown };
    let address = Address::Offset(base, 1 - i64::from(MAX_BLOCK));
    let bytes = 2 * MAX_BLOCK - 1;
    Operation::Access(Access { kind: AccessKind::VectorStore, address, bytes, ..PLAIN })
}

/// Loads and stores (C4.1.94).
pub(super) fn memory(word: u32, at: Svma, opcode: Opcode) -> Option<Operation> {
    if matches!(opcode, Opcode::PRFM | Opcode::PRFUM) {
        return Some(Operation::Nothing);
    }
    let access = match bits(word, 24, 6) {
        0b00_1100 | 0b00_1101 => structures(word),
        0b00_1000 => exclusive(word)?,
        0b01_1001 if bit(word, 21) => return tags(word),
        0b01_1001 => unscaled_ordered(word)?,
        0b01_1000 | 0b01_1100 => literal(word, at),
        0b10_1000 | 0b10_1001 | 0b10_1100 | 0b10_1101 => pair(word, opcode),
        0b11_1000 | 0b11_1001 | 0b11_1100 | 0b11_1101 => single(word, opcode)?,
        _ => return None,
    };
    Some(Operation::Access(access))
}

const PLAIN: Access = Access {
    kind: AccessKind::VectorLoad,
    address: Address::At(Svma(0)),
    bytes: 8,
    count: 1,
    update: Update::None,
    is_ordered: false,
    is_exclusive: false,
};

const fn vectors(is_load: bool) -> AccessKind {
    if is_load { AccessKind::VectorLoad } else { AccessKind::VectorStore }
}

/// Loads and stores of vector structures.
fn structures(word: u32) -> Access {
    let base = Register::or_sp(word >> 5);
    // The number of bytes decides what is added; Rm is a register unless it is 31.
    let update = if bit(word, 23) { Update::Unknown(base) } else { Update::None };
    Access {
        kind: vectors(bit(word, 22)),
        address: Address::Offset(base, 0),
        bytes: 64,
        update,
        ..PLAIN
    }
}

/// LDG, STG, LDGM and similar: tags of memory. STZG and ST2G write data too.
fn tags(word: u32) -> Option<Operation> {
    let base = Register::or_sp(word >> 5);
    let offset = signed(word, 12, 9) * 16;
    let is_load = bits(word, 22, 2) & 1 == 1 && bits(word, 10, 2) == 0;
    if is_load {
        return Some(opaque(word));
    }
    let update = match bits(word, 10, 2) {
        0 => return None,
        2 => Update::None,
        _ => Update::Add(base, offset),
    };
    let address = Address::Offset(base, if bits(word, 10, 2) == 1 { 0 } else { offset });
    Some(Operation::Access(Access {
        kind: AccessKind::VectorStore,
        address,
        bytes: 32,
        update,
        ..PLAIN
    }))
}

/// Exclusives, ordered accesses, and compare and swap (C4.1.94, "Load/store exclusive"…).
fn exclusive(word: u32) -> Option<Access> {
    let (size, is_load) = (bits(word, 30, 2), bit(word, 22));
    let base = Register::or_sp(word >> 5);
    let (first, second) = (Register::or_zero(word), Register::or_zero(word >> 10));
    let status = Register::or_zero(word >> 16);
    let plain = Access { address: Address::Offset(base, 0), bytes: 1 << size, ..PLAIN };
    let is_ordered = bit(word, 15);
    let load = |to, count, bytes| Access {
        kind: AccessKind::Load {
            to,
            extend: Extend { bits: bytes * 8, is_signed: false },
            width: Width::Double,
        },
        bytes,
        count,
        ..plain
    };
    Some(match (bit(word, 23), bit(word, 21)) {
        // STXR, LDXR and the ordered forms.
        (false, false) if is_load => {
            Access { is_ordered, is_exclusive: true, ..load([first, None], 1, 1 << size) }
        }
        (false, false) => Access {
            kind: AccessKind::Store { from: [zero_or(word), Operand::Number(0)], status },
            is_ordered,
            is_exclusive: true,
            ..plain
        },
        // Pairs, and CASP, whose size is in bit 30 alone.
        (false, true) => {
            let bytes = if bit(word, 30) { 8 } else { 4 };
            match (bit(word, 31), is_load) {
                (true, true) => {
                    Access { is_ordered, is_exclusive: true, ..load([first, second], 2, bytes) }
                }
                (true, false) => Access {
                    kind: AccessKind::Store { from: [zero_or(word), zero_or(word >> 10)], status },
                    is_ordered,
                    is_exclusive: true,
                    bytes,
                    count: 2,
                    ..plain
                },
                (false, _) => {
                    let number = bits(word, 16, 5);
                    let to = [Register::or_zero(number), Register::or_zero(number + 1)];
                    Access {
                        kind: AccessKind::Atomic { to, swap: None },
                        bytes,
                        count: 2,
                        is_ordered,
                        ..plain
                    }
                }
            }
        }
        // LDAR, LDLAR, STLR, STLLR.
        (true, false) if is_load => Access { is_ordered, ..load([first, None], 1, 1 << size) },
        (true, false) => Access {
            kind: AccessKind::Store { from: [zero_or(word), Operand::Number(0)], status: None },
            is_ordered,
            ..plain
        },
        // CAS: the compared register gets the old content.
        (true, true) => Access {
            kind: AccessKind::Atomic { to: [status, None], swap: None },
            is_ordered: is_ordered || is_load,
            ..plain
        },
    })
}

/// LDAPUR, STLUR.
fn unscaled_ordered(word: u32) -> Option<Access> {
    if bits(word, 10, 2) != 0 {
        return None;
    }
    let address = Address::Offset(Register::or_sp(word >> 5), signed(word, 12, 9));
    let size = bits(word, 30, 2);
    Some(Access { address, is_ordered: true, ..of_register(word, size, bits(word, 22, 2)) })
}

/// The kind of an access of one general-purpose register by `opc`.
fn of_register(word: u32, size: u32, opc: u32) -> Access {
    let bytes = 1 << size;
    let kind = match opc {
        0 => AccessKind::Store { from: [zero_or(word), Operand::Number(0)], status: None },
        _ => {
            let extend = Extend { bits: bytes * 8, is_signed: opc != 1 };
            // opc 3 sign-extends to 32 bits.
            let width = if opc == 3 { Width::Word } else { Width::Double };
            AccessKind::Load { to: [Register::or_zero(word), None], extend, width }
        }
    };
    Access { kind, bytes, ..PLAIN }
}

fn literal(word: u32, at: Svma) -> Access {
    let address = Address::At(jump_target(word, at, 5, 19));
    if bit(word, 26) {
        return Access { address, bytes: 4 << bits(word, 30, 2), ..PLAIN };
    }
    let (size, opc) = match bits(word, 30, 2) {
        0 => (2, 1),
        1 => (3, 1),
        _ => (2, 2),
    };
    Access { address, ..of_register(word, size, opc) }
}

fn pair(word: u32, opcode: Opcode) -> Access {
    let base = Register::or_sp(word >> 5);
    let is_load = bit(word, 22);
    let is_vector = bit(word, 26);
    let scale = match (is_vector, bits(word, 30, 2)) {
        (true, opc) => 2 + opc,
        (false, 2) => 3,
        // STGP.
        (false, 1) if !is_load => 4,
        (false, _) => 2,
    };
    let offset = signed(word, 15, 7) << scale;
    let mode = bits(word, 23, 2);
    let address = Address::Offset(base, if mode == 1 { 0 } else { offset });
    let update = if mode & 1 == 1 { Update::Add(base, offset) } else { Update::None };
    let bytes = 1 << scale.min(3);
    let to = [Register::or_zero(word), Register::or_zero(word >> 10)];
    let kind = if is_vector {
        vectors(is_load)
    } else if is_load {
        let is_signed = matches!(opcode, Opcode::LDPSW);
        AccessKind::Load { to, extend: Extend { bits: bytes * 8, is_signed }, width: Width::Double }
    } else {
        AccessKind::Store { from: [zero_or(word), zero_or(word >> 10)], status: None }
    };
    let (bytes, count) = if is_vector { (2 << scale, 1) } else { (bytes, 2) };
    Access { kind, address, bytes, count, update, ..PLAIN }
}

fn single(word: u32, opcode: Opcode) -> Option<Access> {
    let base = Register::or_sp(word >> 5);
    let (size, opc) = (bits(word, 30, 2), bits(word, 22, 2));
    let is_vector = bit(word, 26);
    let scale = if is_vector { size | (opc & 2) << 1 } else { size };
    let own = if is_vector {
        Access { kind: vectors(opc & 1 == 1), bytes: 1 << scale, ..PLAIN }
    } else {
        of_register(word, size, opc)
    };
    if bit(word, 24) {
        let offset = i64::from(bits(word, 10, 12)) << scale;
        return Some(Access { address: Address::Offset(base, offset), ..own });
    }
    let offset = signed(word, 12, 9);
    let plain = Address::Offset(base, offset);
    Some(match (bit(word, 21), bits(word, 10, 2)) {
        // Unscaled and unprivileged.
        (false, 0 | 2) => Access { address: plain, ..own },
        (false, 1) => {
            let address = Address::Offset(base, 0);
            Access { address, update: Update::Add(base, offset), ..own }
        }
        (false, _) => Access { address: plain, update: Update::Add(base, offset), ..own },
        (true, 2) => {
            let shift = if bit(word, 12) { scale } else { 0 };
            let address = match Register::or_zero(word >> 16) {
                Some(index) => Address::Indexed(base, index, option(word), shift),
                None => Address::Offset(base, 0),
            };
            Access { address, ..own }
        }
        (true, 0) => atomic(word, opcode)?,
        // LDRAA and LDRAB.
        (true, _) => {
            // imm10 is S:imm9, so that the sign is in bit 22.
            let sign = i64::from(bits(word, 22, 1)) << 9;
            let offset = (i64::from(bits(word, 12, 9)) - sign) << 3;
            let update = if bit(word, 11) { Update::Add(base, offset) } else { Update::None };
            let address = Address::Offset(base, offset);
            Access { address, update, ..of_register(word, 3, 1) }
        }
    })
}

/// Atomic memory operations, LDAPR, and 64-byte accesses.
fn atomic(word: u32, opcode: Opcode) -> Option<Access> {
    let base = Register::or_sp(word >> 5);
    let size = bits(word, 30, 2);
    let plain = Access { address: Address::Offset(base, 0), bytes: 1 << size, ..PLAIN };
    let is_ordered = bit(word, 22) || bit(word, 23);
    match opcode {
        Opcode::LDAPR | Opcode::LDAPRB | Opcode::LDAPRH => {
            let extend = Extend { bits: 8 << size, is_signed: false };
            let to = [Register::or_zero(word), None];
            let kind = AccessKind::Load { to, extend, width: Width::Double };
            Some(Access { kind, is_ordered: true, ..plain })
        }
        _ if bits(word, 12, 4) > 8 => None,
        _ => {
            let is_swap = bits(word, 12, 4) == 8;
            let kind = AccessKind::Atomic {
                to: [Register::or_zero(word), None],
                swap: is_swap.then(|| zero_or(word >> 16)),
            };
            Some(Access { kind, is_ordered, ..plain })
        }
    }
}
