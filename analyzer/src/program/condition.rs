//! Conditional branches that compare a register with a number.
//!
//! Encodings: Arm ARM (DDI 0487), C6.2, CBZ, TBZ, B.cond, SUBS (immediate), ANDS (shifted
//! register).

use super::access::also_writes;
use super::insn::{INSN_BYTES, Insn, Register, decode};
use crate::addr::Svma;

/// The test of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// Whether the register equals this number.
    Is(u64),
    /// Whether this bit is clear.
    HasClear(u8),
}

/// The condition of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The register.
    pub register: Register,
    /// Whether the test covers all 64 bits, or the lower 32 only.
    pub is_wide: bool,
    /// The test.
    pub test: Test,
    /// The outcome of the test for which the branch is taken.
    pub is_taken_if: bool,
}

/// Instructions before a B.cond that are searched for the comparison.
const BEFORE: u64 = 4;

/// Decodes the condition of the branch at `at` in the block that begins at `start`. `word` reads
/// the words of the block.
#[must_use]
pub fn condition(word: &dyn Fn(Svma) -> Option<u32>, start: Svma, at: Svma) -> Option<Condition> {
    let branch = word(at)?;
    let (register, is_wide) = (Register::at(branch, 0), branch >> 31 != 0);
    let zero = |is_taken_if| Condition { register, is_wide, test: Test::Is(0), is_taken_if };
    match branch >> 24 {
        0x34 | 0xb4 => Some(zero(true)),
        0x35 | 0xb5 => Some(zero(false)),
        0x36 | 0x37 | 0xb6 | 0xb7 => {
            let bit = (branch >> 31) << 5 | (branch >> 19) & 31;
            let test = Test::HasClear(u8::try_from(bit).ok()?);
            Some(Condition { test, ..zero(branch & (1 << 24) == 0) })
        }
        // B.EQ and B.NE.
        0x54 if branch & 0x1e == 0 => {
            let found = comparison(word, start, at)?;
            Some(Condition { is_taken_if: branch & 1 == 0, ..found })
        }
        _ => None,
    }
}

/// The comparison with a number that sets the flags before `at`.
fn comparison(word: &dyn Fn(Svma) -> Option<u32>, start: Svma, at: Svma) -> Option<Condition> {
    let mut written = Vec::new();
    for back in 1..=BEFORE {
        let here = at.wrapping_offset(-(back * INSN_BYTES).cast_signed());
        if here < start {
            return None;
        }
        let compare = word(here)?;
        let (first, second) = (Register::at(compare, 5), Register::at(compare, 16));
        let is_result_unused = compare & 31 == 31;
        let found = match compare & 0x7fc0_0000 {
            // CMP with an unshifted number.
            0x7100_0000 if is_result_unused => Some(Test::Is(u64::from((compare >> 10) & 0xfff))),
            // TST of a register with itself.
            0x6a00_0000 if is_result_unused && first == second && compare & 0xfc00 == 0 => {
                Some(Test::Is(0))
            }
            _ => None,
        };
        if let Some(test) = found {
            let is_wide = compare >> 31 != 0;
            let found = Condition { register: first, is_wide, test, is_taken_if: true };
            return (!written.contains(&first)).then_some(found);
        }
        // An instruction between the two must not set the flags, nor be a call.
        match decode(compare, here) {
            Insn::Constant { register, .. } => written.push(register),
            Insn::Store { .. } => {}
            Insn::Other { writes } if is_load(compare) => written.extend(writes),
            _ => return None,
        }
        written.extend(also_writes(compare));
    }
    None
}

/// Whether `word` is a load or store; these do not set the flags.
fn is_load(word: u32) -> bool {
    super::access::access(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[u32]) -> Option<(u8, Test, bool)> {
        let word = |at: Svma| words.get(usize::try_from(at.0 / 4).ok()?).copied();
        let last = Svma((words.len() as u64 - 1) * 4);
        let found = condition(&word, Svma(0), last)?;
        assert_eq!(found.is_wide, words.iter().any(|word| word >> 31 != 0), "{words:x?}");
        Some((found.register.number(), found.test, found.is_taken_if))
    }

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` makes them.
    #[test]
    fn conditions_are_decoded() {
        let zero = Test::Is(0);
        // cbz x3; cbnz w3; tbz w3, #0; tbnz x3, #33.
        assert_eq!(of(&[0xb400_0043]), Some((3, zero, true)));
        assert_eq!(of(&[0x3500_0043]), Some((3, zero, false)));
        assert_eq!(of(&[0x3600_0043]), Some((3, Test::HasClear(0), true)));
        assert_eq!(of(&[0xb708_0043]), Some((3, Test::HasClear(33), false)));
        // cmp w3, #0; b.eq. cmp x3, #5; b.ne. tst w3, w3; b.ne.
        assert_eq!(of(&[0x7100_007f, 0x5400_0040]), Some((3, zero, true)));
        assert_eq!(of(&[0xf100_147f, 0x5400_0041]), Some((3, Test::Is(5), false)));
        assert_eq!(of(&[0x6a03_007f, 0x5400_0041]), Some((3, zero, false)));
    }

    #[test]
    fn other_conditions_are_not_decoded() {
        // cmp w3, w4; b.eq. cmp w3, #0; b.hi. cmp w3, #1, lsl #12; b.eq. b.eq alone.
        for words in [
            &[0x6b04_007f, 0x5400_0040][..],
            &[0x7100_007f, 0x5400_0048],
            &[0x7140_047f, 0x5400_0040],
            &[0x5400_0040],
        ] {
            assert_eq!(of(words), None, "{words:x?}");
        }
        // cmp w3, #0; mov w4, #1; b.eq: the MOV writes another register.
        assert_eq!(of(&[0x7100_007f, 0x5280_0024, 0x5400_0040]), Some((3, Test::Is(0), true)));
        // mov w3, #1; adds w4, w4, #1; bl: the register changes, or the flags do.
        for between in [0x5280_0023, 0x3100_0484, 0x9400_0000] {
            assert_eq!(of(&[0x7100_007f, between, 0x5400_0040]), None, "{between:#x}");
        }
    }
}
