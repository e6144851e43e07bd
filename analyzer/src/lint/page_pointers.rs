//! Whether the page that an ADRP makes is a pointer to the function at its start.
//!
//! Most ADRPs are half of an address: an ADD or an access adds the rest, and the page says
//! nothing, even where a function starts on it. What the program does with the register decides:
//!
//! - A page that is stored, copied, compared or branched to is a pointer.
//! - A page that an instruction adds an offset to is none, unless it is also used so.
//! - A page that is still in the register of a parameter at a call, and that nothing has added
//!   an offset to, is an argument.

use crate::addr::Svma;
use crate::program::{Cfg, FuncId, RecoveredProgram};
use crate::semantics::{
    AccessKind, Control, INSN_BYTES, Logic, Operand, Operation, Register, RegisterSet, writes,
};
use std::collections::BTreeSet;

/// The registers of parameters (AAPCS64, 6.8.2).
const PARAMETERS: u32 = 8;

/// Whether `word` is ADRP (Arm ARM C6.2, ADRP).
pub(super) const fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// The uses of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Uses {
    as_value: bool,
    as_base: bool,
    at_call: bool,
}

/// Whether the ADRP at `at` in `function` makes a pointer, and not the base of an address.
pub(super) fn is_pointer(
    program: &RecoveredProgram<'_>,
    cfg: &Cfg,
    function: FuncId,
    at: Svma,
) -> bool {
    let Some(register) = program.word(at).map(|word| word & 31) else { return false };
    let uses = uses(program, function, cfg, at, register);
    uses.as_value || uses.at_call && !uses.as_base
}

fn uses(
    program: &RecoveredProgram<'_>,
    function: FuncId,
    cfg: &Cfg,
    adrp: Svma,
    register: u32,
) -> Uses {
    let end = program.function(function).range.end();
    let mut uses = Uses::default();
    let Some(first) = cfg.block_at(adrp) else {
        return uses;
    };
    let mut queue = vec![(first, adrp.wrapping_add(INSN_BYTES))];
    let mut seen = BTreeSet::new();
    while let Some((index, start)) = queue.pop() {
        let Some(block) = cfg.blocks.get(index) else { continue };
        let stop = cfg.blocks.get(index + 1).map_or(end, |next| next.start);
        let mut at = start;
        let mut is_live = true;
        while is_live && at < stop {
            is_live = step(program, function, at, register, &mut uses);
            at = at.wrapping_add(INSN_BYTES);
        }
        if is_live {
            let next = block.successors.iter().map(|next| next.index());
            let new: Vec<usize> = next.filter(|next| seen.insert(*next)).collect();
            queue.extend(new.into_iter().map(|next| (next, cfg.blocks[next].start)));
        }
    }
    uses
}

/// Records how the instruction at `at` uses the register. Returns whether the register still
/// holds the page after it.
fn step(
    program: &RecoveredProgram<'_>,
    function: FuncId,
    at: Svma,
    register: u32,
    uses: &mut Uses,
) -> bool {
    let Some(operation) = program.operation(at) else { return false };
    let is = |own: Register| u32::from(own.number()) == register;
    let leaves = |to| !program.function(function).range.contains(to);
    match operation {
        Operation::Control(control @ (Control::Call { .. } | Control::CallRegister { .. })) => {
            if let Control::CallRegister { register: target } = control {
                uses.as_value |= is(target);
            }
            uses.at_call |= register < PARAMETERS;
            return !RegisterSet::CHANGED_BY_CALLS.iter().any(is);
        }
        Operation::Control(Control::Jump { to } | Control::Branch { to, .. }) if leaves(to) => {
            uses.at_call |= register < PARAMETERS;
        }
        Operation::Control(Control::JumpRegister { register: target }) => {
            uses.as_value |= is(target);
        }
        // An offset is added, which a zero is not.
        Operation::Binary {
            logic: Logic::Add | Logic::Sub,
            left: Operand::Register(left),
            right: Operand::Number(1..),
            ..
        } => uses.as_base |= is(left),
        Operation::Access(access) => {
            uses.as_base |= access.base().is_some_and(is);
            if let AccessKind::Store { from, .. } = access.kind {
                uses.as_value |= from.into_iter().any(|from| reads(from, register));
            }
        }
        Operation::Binary { left, right, .. } => {
            uses.as_value |= reads(left, register) || reads(right, register);
        }
        Operation::Select { then, otherwise, .. } => {
            uses.as_value |= reads(then, register) || reads(otherwise, register);
        }
        Operation::Field { from: Some(from), .. } => uses.as_value |= is(from),
        _ => {}
    }
    !writes(&operation).iter().any(is)
}

/// Whether an operand is the register.
fn reads(operand: Operand, register: u32) -> bool {
    match operand {
        Operand::Number(_) => false,
        Operand::Register(own) | Operand::Shifted(own, ..) => u32::from(own.number()) == register,
    }
}
