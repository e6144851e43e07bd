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
use crate::program::{
    AccessKind, Cfg, Constant, FuncId, INSN_BYTES, Insn, RecoveredProgram, access, also_writes,
};
use std::collections::BTreeSet;

/// The registers of parameters (AAPCS64, 6.8.2).
const PARAMETERS: u32 = 8;
/// The first register that a call preserves (AAPCS64, 6.1.1).
const PRESERVED: u32 = 19;

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
    let Some(first) = cfg.blocks.partition_point(|block| block.start <= adrp).checked_sub(1) else {
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
    let (Some(word), Some(insn)) = (program.word(at), program.insn(at)) else { return false };
    let is = |number: u8| u32::from(number) == register;
    let leaves = |to| !program.function(function).range.contains(to);
    match insn {
        Insn::Call { .. } | Insn::CallRegister { .. } => {
            if let Insn::CallRegister { register: target } = insn {
                uses.as_value |= is(target.number());
            }
            uses.at_call |= register < PARAMETERS;
            return register >= PRESERVED;
        }
        Insn::Jump { to } | Insn::Branch { to } if leaves(to) => {
            uses.at_call |= register < PARAMETERS;
        }
        Insn::JumpRegister { register: target } => uses.as_value |= is(target.number()),
        Insn::Constant { value: Constant::Sum { from, .. }, .. } if is(from.number()) => {
            // MOV copies the page; ADD and SUB are of class "data processing, immediate".
            let is_immediate = (word >> 26) & 7 == 4;
            uses.as_base |= is_immediate;
            uses.as_value |= !is_immediate;
        }
        Insn::Constant { value: Constant::Loaded { base, .. }, .. } => {
            uses.as_base |= is(base.number());
        }
        _ => uses_of_word(word, register, uses),
    }
    let written = match insn {
        Insn::Constant { register, .. } => Some(register),
        Insn::Other { writes } => writes,
        _ => None,
    };
    let is_written = |written: Option<crate::program::Register>| {
        written.is_some_and(|written| is(written.number()))
    };
    !is_written(written) && !is_written(also_writes(word))
}

/// The uses of the register by an access or by data processing of registers.
fn uses_of_word(word: u32, register: u32, uses: &mut Uses) {
    let field = |bit: u32| (word >> bit) & 31 == register;
    // Bits 27:25 (C4.1): x1x0 is loads and stores, x101 data processing of registers.
    let is_access = (word >> 25) & 0b0101 == 0b0100;
    let is_of_registers = (word >> 25) & 0b0111 == 0b0101;
    if is_access {
        uses.as_base |= field(5);
        let is_store = access(word).is_some_and(|access| access.kind == AccessKind::Store);
        // STP has a second register at bit 10.
        let is_pair = (word >> 27) & 7 == 5 && word & 1 << 22 == 0;
        uses.as_value |= (is_store || is_pair) && field(0) || is_pair && field(10);
    } else if is_of_registers {
        uses.as_value |= field(5) || field(16);
    }
}
