//! An entry of the jump table, and the instruction at its site.
//!
//! The few instructions of an image are encoded here and not by the shim, so that
//! a test compares two encoders.

use crate::spec::{Branch, Machine, SiteInsn, SiteSpec};
use jlctl_shim::abi::JumpLabelType;

/// Bytes in which functions are measured: see [`crate::spec::FunctionSpec::insns`].
pub(crate) const UNIT: u64 = 4;
/// Longest site in bytes (x86_64).
const LONGEST: usize = 5;
/// Filler between instructions on x86_64: a NOP of one byte.
const X86_NOP1: u8 = 0x90;
const X86_RET: u8 = 0xc3;

/// The bytes at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteBytes {
    bytes: [u8; LONGEST],
    length: usize,
}

impl SiteBytes {
    fn new(slice: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[..slice.len()].copy_from_slice(slice);
        Self { bytes, length: slice.len() }
    }

    /// The bytes, 2 to 5 of them.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Length of the site.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length as u64
    }

    /// The first four bytes as a little-endian word; missing ones are zero.
    pub(crate) fn word(&self) -> u32 {
        let [a, b, c, d, _] = self.bytes;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// One table entry as a correct reader must decode it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Address of the patched instruction.
    pub code: u64,
    /// Address that a JMP goes to.
    pub target: u64,
    /// Address of the key, without flag bits.
    pub key: u64,
    /// Branch sense: likely.
    pub branch: bool,
    /// The init bit.
    pub init: bool,
    /// The target of the instruction at `code`, if it is a jump.
    pub jump: Option<u64>,
    /// The bytes written at `code`.
    pub insn: SiteBytes,
    /// The first four of them as a little-endian word.
    pub word: u32,
}

impl Entry {
    /// Whether the NOP of `machine` was written at the site.
    pub(crate) fn is_nop(&self, machine: Machine) -> bool {
        self.insn == nop(machine, self.insn.length() == 2)
    }
}

/// The target of the instruction at a site; `None` if the site holds no jump.
pub(crate) fn destination(site: &SiteSpec, code: u64, target: u64, on: bool) -> Option<u64> {
    let branch = site.branch == Branch::Likely;
    match (site.insn, JumpLabelType::wanted(on, branch)) {
        (SiteInsn::JumpBy(bytes), _) => Some(code.wrapping_add_signed(bytes)),
        (SiteInsn::Initial, JumpLabelType::Jmp) => Some(target),
        (SiteInsn::Initial, JumpLabelType::Nop) | (SiteInsn::Word(_), _) => None,
    }
}

/// The bytes at a site that does not jump.
pub(crate) fn straight(machine: Machine, site: &SiteSpec) -> SiteBytes {
    let nop = nop(machine, site.short);
    let SiteInsn::Word(word) = site.insn else { return nop };
    let mut bytes = nop;
    let length = bytes.length.min(4);
    bytes.bytes[..length].copy_from_slice(&word.to_le_bytes()[..length]);
    bytes
}

pub(crate) fn nop(machine: Machine, short: bool) -> SiteBytes {
    assert!(!short || machine == Machine::X86_64, "only x86_64 has short sites");
    match (machine, short) {
        // Arm ARM (DDI 0487) C6.2, NOP.
        (Machine::Aarch64, _) => SiteBytes::new(&0xd503_201f_u32.to_le_bytes()),
        // The recommended multi-byte NOPs of Intel's SDM, volume 2, NOP.
        (Machine::X86_64, true) => SiteBytes::new(&[0x66, 0x90]),
        (Machine::X86_64, false) => SiteBytes::new(&[0x0f, 0x1f, 0x44, 0, 0]),
        // addi x0, x0, 0.
        (Machine::Riscv64, _) => SiteBytes::new(&0x13_u32.to_le_bytes()),
    }
}

/// A jump over `displacement` bytes from the start of the site.
///
/// # Panics
/// If it does not fit; `code` and `to` are for the message.
pub fn jump(machine: Machine, short: bool, code: u64, to: u64) -> SiteBytes {
    let distance = to.wrapping_sub(code).cast_signed();
    let message = format!("a branch at {code:#x} cannot reach {to:#x}");
    let fits = |bits: u32, unit: i64| {
        let limit = 1 << (bits - 1);
        distance % unit == 0 && (-limit..limit).contains(&distance)
    };
    match (machine, short) {
        (Machine::Aarch64, _) if code.is_multiple_of(4) && fits(28, 4) => {
            SiteBytes::new(&b(distance))
        }
        (Machine::X86_64, true) => {
            let rel = i8::try_from(distance - 2).expect(&message);
            SiteBytes::new(&[0xeb, rel.cast_unsigned()])
        }
        (Machine::X86_64, false) => {
            let rel = i32::try_from(distance - 5).expect(&message);
            let [a, b, c, d] = rel.to_le_bytes();
            SiteBytes::new(&[0xe9, a, b, c, d])
        }
        (Machine::Riscv64, _) if fits(21, 2) => SiteBytes::new(&jal(distance)),
        (Machine::Aarch64 | Machine::Riscv64, _) => panic!("{message}"),
    }
}

/// A jump as an assembler leaves it for a relocation.  On RISC-V that is the
/// displacement between the two offsets in their sections, whichever those
/// are: `md_apply_fix()` of the GNU assembler calls it tentative.
pub(crate) fn unlinked_jump(machine: Machine, short: bool, from: u64, to: u64) -> SiteBytes {
    assert!(!short, "a short jump has no room for a relocation");
    match machine {
        Machine::Aarch64 => SiteBytes::new(&b(0)),
        Machine::X86_64 => SiteBytes::new(&[0xe9, 0, 0, 0, 0]),
        Machine::Riscv64 => jump(machine, short, from, to),
    }
}

/// Fills code with NOPs.
pub fn fill_code(machine: Machine, code: &mut [u8]) {
    match machine {
        Machine::X86_64 => code.fill(X86_NOP1),
        Machine::Aarch64 | Machine::Riscv64 => {
            let nop = nop(machine, false);
            code.chunks_exact_mut(4).for_each(|word| word.copy_from_slice(nop.as_slice()));
        }
    }
}

/// The last four bytes of a function: they end in a return.
pub(crate) fn end_of_function(machine: Machine) -> [u8; 4] {
    match machine {
        Machine::Aarch64 => 0xd65f_03c0_u32.to_le_bytes(),
        Machine::X86_64 => [X86_NOP1, X86_NOP1, X86_NOP1, X86_RET],
        // jalr x0, 0(x1).
        Machine::Riscv64 => 0x8067_u32.to_le_bytes(),
    }
}

/// B over `distance` bytes: opcode 000101, then imm26 in units of four bytes.
fn b(distance: i64) -> [u8; 4] {
    let [a, b, c, d, ..] = (distance >> 2).to_le_bytes();
    [a, b, c, 0x14 | (d & 3)]
}

/// JAL x0 over `distance` bytes.  The immediate is imm[20|10:1|11|19:12] in the
/// bits 31 to 12 (RISC-V unprivileged ISA, "J-type").
fn jal(distance: i64) -> [u8; 4] {
    let part = |from: u32, bits: u32| {
        let value = (distance >> from) & ((1 << bits) - 1);
        u32::try_from(value).expect("the mask leaves few bits")
    };
    let imm = part(20, 1) << 19 | part(1, 10) << 9 | part(11, 1) << 8 | part(12, 8);
    (imm << 12 | 0x6f).to_le_bytes()
}
