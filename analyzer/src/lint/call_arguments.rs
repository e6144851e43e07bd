//! Constants in registers at a call.

use crate::addr::Svma;
use crate::image::Image;
use crate::program::{
    BlockId, CALLEE_SAVED, Cfg, Constant, INSN_BYTES, Insn, RecoveredProgram, also_writes,
    constant_at,
};

/// The known values of the registers; register 31 has none.
pub(super) type KnownConstants = [Option<u64>; 32];

/// Blocks that are followed backward from a call.
const DEPTH: usize = 12;
/// The registers before the instruction at `at`, from the blocks that every path to it passes.
pub(super) fn registers_at(
    image: &Image<'_>,
    program: &RecoveredProgram<'_>,
    cfg: &Cfg,
    at: Svma,
) -> KnownConstants {
    let mut registers = [None; 32];
    let Some(last) = cfg.blocks.partition_point(|block| block.start <= at).checked_sub(1) else {
        return registers;
    };
    let mut path = vec![last];
    while path.len() < DEPTH {
        let block = path[path.len() - 1];
        let is_before = |from: &&(usize, usize)| from.1 == block;
        let edges: Vec<(usize, usize)> = cfg
            .blocks
            .iter()
            .enumerate()
            .flat_map(|(from, block)| {
                block.successors.iter().map(move |next: &BlockId| (from, next.index()))
            })
            .collect();
        let mut before = edges.iter().filter(is_before);
        match (before.next(), before.next()) {
            (Some((from, _)), None) if block != 0 && !path.contains(from) => path.push(*from),
            _ => break,
        }
    }
    for (step, block) in path.iter().enumerate().rev() {
        let start = cfg.blocks[*block].start;
        let next = cfg.blocks.get(block + 1).map(|next| next.start);
        let end = if step == 0 { at } else { next.unwrap_or(at) };
        let mut here = start;
        while here < end {
            let (Some(word), Some(insn)) = (program.word(here), program.insn(here)) else { break };
            execute(image, word, insn, &mut registers);
            here = here.wrapping_add(INSN_BYTES);
        }
    }
    registers
}

fn execute(image: &Image<'_>, word: u32, insn: Insn, registers: &mut KnownConstants) {
    let known = |registers: &KnownConstants, number: u8| match number {
        31 => None,
        number => registers[usize::from(number)],
    };
    match insn {
        Insn::Constant { register, value, is_word } => {
            let number = usize::from(register.number());
            let value = match value {
                Constant::Value(value) => Some(value),
                Constant::Keep { bits, shift } => known(registers, register.number())
                    .map(|old| old & !(0xffff << shift) | bits << shift),
                Constant::Sum { from, add } => {
                    known(registers, from.number()).map(|from| from.wrapping_add_signed(add))
                }
                Constant::Literal(from) => constant_at(image, from),
                Constant::Loaded { base, offset } => known(registers, base.number())
                    .and_then(|base| constant_at(image, Svma(base.wrapping_add(offset)))),
            };
            if number < 31 {
                registers[number] =
                    value.map(|value| if is_word { value & 0xffff_ffff } else { value });
            }
        }
        Insn::Other { writes: Some(register) } => registers[usize::from(register.number())] = None,
        Insn::Call { .. } | Insn::CallRegister { .. } => {
            for (number, register) in registers.iter_mut().enumerate() {
                if !CALLEE_SAVED.contains(&number) {
                    *register = None;
                }
            }
        }
        _ => {}
    }
    if let Some(register) = also_writes(word) {
        registers[usize::from(register.number())] = None;
    }
    registers[31] = None;
}
