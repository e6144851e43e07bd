//! Assembles the instructions of litmus tests.

use super::error::Fault;
use crate::simulate::insn::{Alu, Barrier, Cond, ContextSync, Insn, LR, Operand, Reg, ZR};
use crate::simulate::program::ModelProgram;

/// Finds the position of a label, which is a name or `.+4`.
pub(super) type Labels<'a> = &'a dyn Fn(&str) -> Option<u16>;

/// A register, and whether it is a W register.
fn register(text: &str) -> Option<(Reg, bool)> {
    let text = text.to_ascii_uppercase();
    let w = text.starts_with('W');
    let number = text.strip_prefix(['X', 'W'])?;
    if number == "ZR" {
        return Some((ZR, w));
    }
    let number: Reg = number.parse().ok()?;
    (number <= 30).then_some((number, w))
}

/// A number in C notation, with or without `#`.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('#').trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?.cast_signed(),
        None => digits.parse().ok()?,
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Splits operands at commas outside of brackets.
fn operands(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0usize);
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// `[Xn]`, `[Xn,#imm]`, `[Xn,Xm]`, `[Xn,Wm,SXTW]`.
fn address(text: &str) -> Option<(Reg, Operand)> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    let base = |text: &str| register(text).filter(|(_, w)| !w).map(|(reg, _)| reg);
    match parts.as_slice() {
        [n] => Some((base(n)?, Operand::Imm(0))),
        [n, m] => match number(m) {
            Some(offset) => Some((base(n)?, Operand::Imm(offset))),
            None => Some((base(n)?, Operand::Reg { reg: base(m)?, sxtw: false })),
        },
        [n, m, extend] if extend.eq_ignore_ascii_case("SXTW") => {
            let (reg, w) = register(m)?;
            w.then_some((base(n)?, Operand::Reg { reg, sxtw: true }))
        }
        _ => None,
    }
}

fn barrier(option: &str) -> Option<Barrier> {
    match option.to_ascii_uppercase().as_str() {
        "SY" | "ISH" => Some(Barrier::Full),
        "LD" | "ISHLD" => Some(Barrier::Ld),
        "ST" | "ISHST" => Some(Barrier::St),
        _ => None,
    }
}

/// Assembles one instruction.
pub(super) fn assemble(text: &str, labels: Labels<'_>) -> Result<Insn, Fault> {
    let known = |insn: Option<Insn>| insn.ok_or_else(|| Fault::Instruction(text.to_owned()));
    let (mnemonic, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let mnemonic = mnemonic.to_ascii_uppercase();
    let ops = operands(rest);
    let ops: Vec<&str> = ops.iter().map(String::as_str).collect();
    let to = |label: &str| labels(label).ok_or_else(|| Fault::Label(label.to_owned()));
    // Branches come first: an unknown label is a fault of its own.
    let condition = mnemonic.strip_prefix("B.").and_then(Cond::named);
    match (mnemonic.as_str(), ops.as_slice()) {
        ("B", [label]) => return Ok(Insn::B { to: to(label)? }),
        ("BL", [label]) => return Ok(Insn::Bl { to: to(label)? }),
        ("CBZ" | "CBNZ", [t, label]) => {
            let Some((t, w)) = register(t) else { return known(None) };
            return Ok(Insn::Cb { t, nonzero: mnemonic == "CBNZ", w, to: to(label)? });
        }
        ("TBZ" | "TBNZ", [t, bit, label]) => {
            let bit = number(bit).and_then(|bit| u8::try_from(bit).ok()).filter(|bit| *bit < 64);
            let (Some((t, _)), Some(bit)) = (register(t), bit) else { return known(None) };
            return Ok(Insn::Tb { t, bit, nonzero: mnemonic == "TBNZ", to: to(label)? });
        }
        ("ADR", [d, label]) => {
            let Some((d, false)) = register(d) else { return known(None) };
            return Ok(Insn::Const { d, value: ModelProgram::code_address(to(label)?) });
        }
        (_, [label]) if condition.is_some() => {
            return Ok(condition.map_or(Insn::Nop, |cond| Insn::BCond { cond, to: 0 })).and_then(
                |insn| match insn {
                    Insn::BCond { cond, .. } => Ok(Insn::BCond { cond, to: to(label)? }),
                    other => Ok(other),
                },
            );
        }
        _ => {}
    }
    known(plain(&mnemonic, &ops))
}

/// Assembles an instruction without a label.
fn plain(mnemonic: &str, ops: &[&str]) -> Option<Insn> {
    Some(match (mnemonic, ops) {
        ("NOP", []) => Insn::Nop,
        ("ISB", [] | ["SY" | "sy"]) => Insn::Sync(ContextSync::Isb),
        ("UDF", [_]) => Insn::Undefined,
        ("RET", []) => Insn::Br { n: LR, link: false },
        ("BR" | "RET", [n]) => Insn::Br { n: register(n)?.0, link: false },
        ("BLR", [n]) => Insn::Br { n: register(n)?.0, link: true },
        ("DMB", [option]) => Insn::Dmb(barrier(option)?),
        ("DSB", [option]) => Insn::Dsb(barrier(option)?),
        ("DC", [kind, n]) if kind.eq_ignore_ascii_case("CVAU") => Insn::Dc { n: register(n)?.0 },
        ("IC", [kind, n]) if kind.eq_ignore_ascii_case("IVAU") => Insn::Ic { n: register(n)?.0 },
        ("IC", [kind]) if kind.eq_ignore_ascii_case("IALLU") => Insn::IcAll,
        ("LDR", [t, place]) => {
            let ((t, w), (n, off)) = (register(t)?, address(place)?);
            Insn::Ldr { t, n, off, w }
        }
        ("STR" | "STLR", [t, place]) => {
            let ((t, w), (n, off)) = (register(t)?, address(place)?);
            let release = mnemonic == "STLR";
            if release && off != Operand::Imm(0) {
                return None;
            }
            Insn::Str { t, n, off, w, release }
        }
        ("MOV", [d, source]) => {
            let (d, w) = register(d)?;
            match (number(source), register(source)) {
                (_, Some((reg, _))) => alu(Alu::Orr, d, ZR, Operand::Reg { reg, sxtw: false }, w),
                (Some(value), None) => {
                    let value = value.cast_unsigned();
                    Insn::Const { d, value: if w { value & 0xffff_ffff } else { value } }
                }
                (None, None) => return None,
            }
        }
        ("EOR" | "ADD" | "SUB" | "AND" | "ORR", [d, n, rest @ ..]) => {
            let op = match mnemonic {
                "EOR" => Alu::Eor,
                "ADD" => Alu::Add,
                "SUB" => Alu::Sub,
                "AND" => Alu::And,
                _ => Alu::Orr,
            };
            let ((d, w), (n, _)) = (register(d)?, register(n)?);
            alu(op, d, n, second(rest)?, w)
        }
        ("CMP", [n, rest @ ..]) => {
            let (n, w) = register(n)?;
            Insn::Alu { op: Alu::Sub, d: ZR, n, m: second(rest)?, w, flags: true }
        }
        ("CSET", [d, cond]) => {
            let (d, w) = register(d)?;
            let cond = Cond::named(&cond.to_ascii_uppercase())?.inverted();
            Insn::Csel { d, n: ZR, m: ZR, cond, inc: true, w }
        }
        ("CSEL" | "CSINC", [d, n, m, cond]) => {
            let ((d, w), (n, _), (m, _)) = (register(d)?, register(n)?, register(m)?);
            let cond = Cond::named(&cond.to_ascii_uppercase())?;
            Insn::Csel { d, n, m, cond, inc: mnemonic == "CSINC", w }
        }
        _ => return None,
    })
}

const fn alu(op: Alu, d: Reg, n: Reg, m: Operand, w: bool) -> Insn {
    Insn::Alu { op, d, n, m, w, flags: false }
}

fn second(ops: &[&str]) -> Option<Operand> {
    match ops {
        [m] => match register(m) {
            Some((reg, _)) => Some(Operand::Reg { reg, sxtw: false }),
            None => number(m).map(Operand::Imm),
        },
        [m, extend] if extend.eq_ignore_ascii_case("SXTW") => {
            Some(Operand::Reg { reg: register(m)?.0, sxtw: true })
        }
        _ => None,
    }
}
