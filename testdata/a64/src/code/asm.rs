//! The A64 instructions of the test programs, as functions (Arm ARM, DDI 0487, C6.2).

use super::insn::{Code, Form, Insn, code};
pub use super::register::{FP, LR, Reg, SP, XZR, w, x};

/// A condition of B.cond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cond {
    /// Equal.
    Eq = 0,
    /// Not equal.
    Ne = 1,
    /// Unsigned lower.
    Lo = 3,
    /// Unsigned higher.
    Hi = 8,
}

/// The accesses and the domain of a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Everything, outer shareable.
    Osh = 3,
    /// Everything, this PE alone.
    Nsh = 7,
    /// Loads, inner shareable.
    Ishld = 9,
    /// Stores, inner shareable.
    Ishst = 10,
    /// Everything, inner shareable.
    Ish = 11,
    /// Everything, full system.
    Sy = 15,
}

/// The word of NOP.
pub(super) const NOP: u32 = 0xd503_201f;
/// The word of B without its displacement.
pub(super) const B: u32 = 0x1400_0000;

/// Any word.
#[must_use]
pub fn word(word: u32) -> Code {
    Code::word(word)
}

/// A label of the next instruction, local to the function.
#[must_use]
pub fn label(name: &str) -> Code {
    Code(vec![Insn::Label(name.to_owned())])
}

/// The address of `symbol`, eight bytes within the code.
#[must_use]
pub fn quad(symbol: &str) -> Code {
    Code(vec![Insn::Quad(symbol.to_owned())])
}

/// A site of the jump table that holds a NOP; its entry's target is `to`.
#[must_use]
pub fn site(to: &str) -> Code {
    Code(vec![Insn::Site { to: to.to_owned(), jumps: false }])
}

/// A site of the jump table that holds a B to its entry's target `to`.
#[must_use]
pub fn site_jump(to: &str) -> Code {
    Code(vec![Insn::Site { to: to.to_owned(), jumps: true }])
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $word:expr;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name() -> Code { Code::word($word) })*
    };
}

fixed! {
    /// `nop`
    nop = NOP;
    /// `ret`
    ret = 0xd65f_03c0;
    /// `retaa`
    retaa = 0xd65f_0bff;
    /// `bti c`
    bti_c = 0xd503_245f;
    /// `bti j`
    bti_j = 0xd503_249f;
    /// `paciasp`
    paciasp = 0xd503_233f;
    /// `autiasp`
    autiasp = 0xd503_23bf;
    /// `isb`
    isb = 0xd503_3fdf;
    /// `eret`
    eret = 0xd69f_03e0;
    /// `ic iallu`
    ic_iallu = 0xd508_751f;
    /// `ic ialluis`
    ic_ialluis = 0xd508_711f;
}

/// `dsb`
#[must_use]
pub fn dsb(domain: Domain) -> Code {
    Code::word(0xd503_309f | (domain as u32) << 8)
}

/// `dmb`
#[must_use]
pub fn dmb(domain: Domain) -> Code {
    Code::word(0xd503_30bf | (domain as u32) << 8)
}

/// `br target`
#[must_use]
pub fn br(target: Reg) -> Code {
    Code::word(0xd61f_0000 | target.number << 5)
}

/// `blr target`
#[must_use]
pub fn blr(target: Reg) -> Code {
    Code::word(0xd63f_0000 | target.number << 5)
}

/// `blraa target, modifier`
#[must_use]
pub fn blraa(target: Reg, modifier: Reg) -> Code {
    Code::word(0xd73f_0800 | target.number << 5 | modifier.number)
}

/// `dc cvau, address`
#[must_use]
pub fn dc_cvau(address: Reg) -> Code {
    Code::word(0xd50b_7b20 | address.number)
}

/// `ic ivau, address`
#[must_use]
pub fn ic_ivau(address: Reg) -> Code {
    Code::word(0xd50b_7520 | address.number)
}

/// `mrs to, ctr_el0`
#[must_use]
pub fn mrs_ctr(to: Reg) -> Code {
    Code::word(0xd53b_0020 | to.number)
}

/// `msr icc_sgi1r_el1, from`: sends an inter-processor interrupt.
#[must_use]
pub fn msr_sgi1r(from: Reg) -> Code {
    Code::word(0xd518_cba0 | from.number)
}

fn exception(opcode: u32, number: u16) -> Code {
    Code::word(opcode | u32::from(number) << 5)
}

/// `svc #number`
#[must_use]
pub fn svc(number: u16) -> Code {
    exception(0xd400_0001, number)
}

/// `brk #number`
#[must_use]
pub fn brk(number: u16) -> Code {
    exception(0xd420_0000, number)
}

/// `udf #number`
#[must_use]
pub fn udf(number: u16) -> Code {
    Code::word(number.into())
}

fn wide_move(opcode: u32, to: Reg, value: u16, shift: u32) -> Code {
    assert!(shift.is_multiple_of(16) && shift < 8 * to.bytes(), "a shift by {shift}");
    Code::word(opcode | to.sf() | (shift / 16) << 21 | u32::from(value) << 5 | to.number)
}

/// `movz to, #value, lsl #shift`
#[must_use]
pub fn movz(to: Reg, value: u16, shift: u32) -> Code {
    wide_move(0x5280_0000, to, value, shift)
}

/// `movk to, #value, lsl #shift`
#[must_use]
pub fn movk(to: Reg, value: u16, shift: u32) -> Code {
    wide_move(0x7280_0000, to, value, shift)
}

/// MOVZ, and as many MOVK as `value` needs.
#[must_use]
pub fn load(to: Reg, value: u64) -> Code {
    let part = |at: u32| u16::try_from(value >> (16 * at) & 0xffff).expect("sixteen bits");
    let rest =
        (1..to.bytes() / 2).filter(|at| part(*at) != 0).map(|at| movk(to, part(at), 16 * at));
    Code([movz(to, part(0), 0)].into_iter().chain(rest).flat_map(|part| part.0).collect())
}

/// `mov to, from`
#[must_use]
pub fn mov(to: Reg, from: Reg) -> Code {
    if to.stack || from.stack {
        return add_imm(to, from, 0);
    }
    Code::word(0x2a00_03e0 | to.sf() | from.number << 16 | to.number)
}

fn immediate(opcode: u32, to: Reg, from: Reg, value: u32) -> Code {
    assert!(value < 1 << 12, "{value:#x} has more than twelve bits");
    Code::word(opcode | to.sf() | value << 10 | from.number << 5 | to.number)
}

/// `add to, from, #value`
#[must_use]
pub fn add_imm(to: Reg, from: Reg, value: u32) -> Code {
    immediate(0x1100_0000, to, from, value)
}

/// `sub to, from, #value`
#[must_use]
pub fn sub_imm(to: Reg, from: Reg, value: u32) -> Code {
    immediate(0x5100_0000, to, from, value)
}

/// `subs to, from, #value`
#[must_use]
pub fn subs_imm(to: Reg, from: Reg, value: u32) -> Code {
    immediate(0x7100_0000, to, from, value)
}

/// `cmp register, #value`
#[must_use]
pub fn cmp_imm(register: Reg, value: u32) -> Code {
    subs_imm(Reg { number: 31, ..register }, register, value)
}

fn three(opcode: u32, to: Reg, left: Reg, right: Reg) -> Code {
    Code::word(opcode | to.sf() | right.number << 16 | left.number << 5 | to.number)
}

/// `add to, left, right`
#[must_use]
pub fn add(to: Reg, left: Reg, right: Reg) -> Code {
    three(0x0b00_0000, to, left, right)
}

/// `add to, left, right, lsl #shift`
#[must_use]
pub fn add_shifted(to: Reg, left: Reg, right: Reg, shift: u32) -> Code {
    three(0x0b00_0000 | shift << 10, to, left, right)
}

/// `sub to, left, right`
#[must_use]
pub fn sub(to: Reg, left: Reg, right: Reg) -> Code {
    three(0x4b00_0000, to, left, right)
}

/// `cmp left, right`
#[must_use]
pub fn cmp(left: Reg, right: Reg) -> Code {
    three(0x6b00_0000, Reg { number: 31, ..left }, left, right)
}

/// `orr to, left, right, lsl #shift`
#[must_use]
pub fn orr_shifted(to: Reg, left: Reg, right: Reg, shift: u32) -> Code {
    three(0x2a00_0000 | shift << 10, to, left, right)
}

/// `bic to, left, right`
#[must_use]
pub fn bic(to: Reg, left: Reg, right: Reg) -> Code {
    three(0x0a20_0000, to, left, right)
}

/// `lsl to, left, right`
#[must_use]
pub fn lsl(to: Reg, left: Reg, right: Reg) -> Code {
    three(0x1ac0_2000, to, left, right)
}

/// `ubfx to, from, #first, #count` of 64-bit registers.
#[must_use]
pub fn ubfx(to: Reg, from: Reg, first: u32, count: u32) -> Code {
    Code::word(0xd340_0000 | first << 16 | (first + count - 1) << 10 | from.number << 5 | to.number)
}

fn access(opcode: u32, register: Reg, base: Reg, offset: u32) -> Code {
    assert!(offset.is_multiple_of(register.bytes()) && offset / register.bytes() < 1 << 12);
    let offset = offset / register.bytes();
    Code::word(opcode | register.size() | offset << 10 | base.number << 5 | register.number)
}

/// `ldr to, [base, #offset]`
#[must_use]
pub fn ldr(to: Reg, base: Reg, offset: u32) -> Code {
    access(0xb940_0000, to, base, offset)
}

/// `str from, [base, #offset]`
#[must_use]
pub fn str(from: Reg, base: Reg, offset: u32) -> Code {
    access(0xb900_0000, from, base, offset)
}

/// `str from, [base], #step`
#[must_use]
pub fn str_post(from: Reg, base: Reg, step: u32) -> Code {
    assert!(step < 256, "a step of {step}");
    Code::word(0xb800_0400 | from.size() | step << 12 | base.number << 5 | from.number)
}

/// `ldar to, [base]`
#[must_use]
pub fn ldar(to: Reg, base: Reg) -> Code {
    Code::word(0x88df_fc00 | to.size() | base.number << 5 | to.number)
}

/// `stlr from, [base]`
#[must_use]
pub fn stlr(from: Reg, base: Reg) -> Code {
    Code::word(0x889f_fc00 | from.size() | base.number << 5 | from.number)
}

/// `ldrb to, [base, index]`
#[must_use]
pub fn ldrb(to: Reg, base: Reg, index: Reg) -> Code {
    Code::word(0x3860_6800 | index.number << 16 | base.number << 5 | to.number)
}

fn pair(opcode: u32, (first, second): (Reg, Reg), base: Reg, offset: i32) -> Code {
    assert!(offset % 8 == 0 && (-512..512).contains(&offset), "an offset of {offset}");
    let offset = (offset / 8).cast_unsigned() & 0x7f;
    Code::word(opcode | offset << 15 | second.number << 10 | base.number << 5 | first.number)
}

/// `stp first, second, [base, #offset]`
#[must_use]
pub fn stp(pair_of: (Reg, Reg), base: Reg, offset: i32) -> Code {
    pair(0xa900_0000, pair_of, base, offset)
}

/// `stp first, second, [base, #offset]!`
#[must_use]
pub fn stp_pre(pair_of: (Reg, Reg), base: Reg, offset: i32) -> Code {
    pair(0xa980_0000, pair_of, base, offset)
}

/// `ldp first, second, [base, #offset]`
#[must_use]
pub fn ldp(pair_of: (Reg, Reg), base: Reg, offset: i32) -> Code {
    pair(0xa940_0000, pair_of, base, offset)
}

/// `ldp first, second, [base], #offset`
#[must_use]
pub fn ldp_post(pair_of: (Reg, Reg), base: Reg, offset: i32) -> Code {
    pair(0xa8c0_0000, pair_of, base, offset)
}

/// `b to`: a label or a function.
#[must_use]
pub fn b(to: &str) -> Code {
    Code::refer(B, Form::Imm26, to)
}

/// `bl to`
#[must_use]
pub fn bl(to: &str) -> Code {
    Code::refer(0x9400_0000, Form::Imm26, to)
}

/// `b.cond to`: a label or a function.
#[must_use]
pub fn b_cond(condition: Cond, to: &str) -> Code {
    Code::refer(0x5400_0000 | condition as u32, Form::Imm19, to)
}

/// `cbz register, to`
#[must_use]
pub fn cbz(register: Reg, to: &str) -> Code {
    Code::refer(0x3400_0000 | register.sf() | register.number, Form::Imm19, to)
}

/// `cbnz register, to`
#[must_use]
pub fn cbnz(register: Reg, to: &str) -> Code {
    Code::refer(0x3500_0000 | register.sf() | register.number, Form::Imm19, to)
}

fn test_bit(opcode: u32, register: Reg, bit: u32, to: &str) -> Code {
    let bit = (bit >> 5) << 31 | (bit & 31) << 19;
    Code::refer(opcode | bit | register.number, Form::Imm14, to)
}

/// `tbz register, #bit, to`
#[must_use]
pub fn tbz(register: Reg, bit: u32, to: &str) -> Code {
    test_bit(0x3600_0000, register, bit, to)
}

/// `tbnz register, #bit, to`
#[must_use]
pub fn tbnz(register: Reg, bit: u32, to: &str) -> Code {
    test_bit(0x3700_0000, register, bit, to)
}

/// `adrp to, symbol`
#[must_use]
pub fn adrp(to: Reg, symbol: &str) -> Code {
    Code::refer(0x9000_0000 | to.number, Form::Page, symbol)
}

/// `add to, from, :lo12:symbol`
#[must_use]
pub fn add_lo12(to: Reg, from: Reg, symbol: &str) -> Code {
    Code::refer(0x9100_0000 | from.number << 5 | to.number, Form::Low12, symbol)
}

/// `str from, [base, :lo12:symbol]`, of a 32-bit register
#[must_use]
pub fn str_lo12(from: Reg, base: Reg, symbol: &str) -> Code {
    Code::refer(0xb900_0000 | base.number << 5 | from.number, Form::Low12Word, symbol)
}

/// `adrp to, :got:symbol` and `ldr to, [to, :got_lo12:symbol]`: the address of `symbol`.
#[must_use]
pub fn address_by_got(to: Reg, symbol: &str) -> Code {
    code([
        Code::refer(0x9000_0000 | to.number, Form::GotPage, symbol),
        Code::refer(0xf940_0000 | to.number << 5 | to.number, Form::GotLow12, symbol),
    ])
}

/// `adr to, symbol`
#[must_use]
pub fn adr(to: Reg, symbol: &str) -> Code {
    Code::refer(0x1000_0000 | to.number, Form::Near, symbol)
}

/// `ldr to, label`: a literal in the code.
#[must_use]
pub fn ldr_literal(to: Reg, label: &str) -> Code {
    Code::refer(0x1800_0000 | to.size() | to.number, Form::Imm19, label)
}

/// ADRP and ADD: the address of `symbol`.
#[must_use]
pub fn address(to: Reg, symbol: &str) -> Code {
    code([adrp(to, symbol), add_lo12(to, to, symbol)])
}

/// A frame of 32 bytes that saves x19 and x20.
#[must_use]
pub fn enter() -> Code {
    code([stp_pre((FP, LR), SP, -32), mov(FP, SP), stp((x(19), x(20)), SP, 16)])
}

/// Removes the frame of [`enter`], before a tail call.
#[must_use]
pub fn leave() -> Code {
    code([ldp((x(19), x(20)), SP, 16), ldp_post((FP, LR), SP, 32)])
}

/// Removes the frame of [`enter`] and returns.
#[must_use]
pub fn leave_ret() -> Code {
    code([leave(), ret()])
}

pub mod table;
