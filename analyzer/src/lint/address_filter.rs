//! Whether a function's instructions can make an address, told from each instruction alone:
//! a cheap step before registers are followed.
//!
//! An address out of range for a page and two displacements is made with instructions that
//! are rare; a function that has one of them counts as making every address.

use crate::image::Image;
use crate::program::{
    Constant, FuncId, INSN_BYTES, Insn, RecoveredProgram, constant_at, constants,
};
use std::collections::BTreeSet;

/// What an ADD or SUB without a shift and the displacement of an access add to an address at
/// most, and take from it, in bytes (Arm ARM C6.2: 12 bits; 12 bits of 8 or 16 bytes; 9 bits,
/// or 7 of 8 bytes).
const ADDED: u64 = 0x1000 + 0x1_0000;
const TAKEN: u64 = 0x1000 + 0x200;

/// Addresses, and the constants of the program that lead to them.
pub(super) struct AddressFilter {
    /// In ascending order.
    targets: Vec<u64>,
}

impl AddressFilter {
    /// Of `addresses` in `image`.
    pub(super) fn of(image: &Image<'_>, addresses: &BTreeSet<u64>) -> Self {
        let own = Self { targets: addresses.iter().copied().collect() };
        let slots = constants(image).filter(|(_, word)| own.is_near(*word));
        let mut targets: Vec<u64> = slots.map(|(slot, _)| slot.0).collect();
        targets.extend(&own.targets);
        targets.sort_unstable();
        Self { targets }
    }

    /// Whether an instruction of `id` can bring about one of the addresses.
    pub(super) fn can_be_in(
        &self,
        program: &RecoveredProgram<'_>,
        image: &Image<'_>,
        id: FuncId,
    ) -> bool {
        let range = program.function(id).range;
        let places = (0..range.size() / INSN_BYTES)
            .map(|index| range.start().wrapping_add(index * INSN_BYTES));
        places.filter_map(|at| program.insn(at)).any(|insn| match insn {
            Insn::Constant { value, .. } => match value {
                Constant::Value(value) => self.is_near(value),
                Constant::Literal(from) => {
                    constant_at(image, from).is_some_and(|value| self.is_near(value))
                }
                Constant::Keep { shift, .. } => shift > 0,
                Constant::Sum { add, .. } => add.unsigned_abs() >= 0x1000,
                // The slot that it is loaded from is one of the targets.
                Constant::Loaded { .. } => false,
            },
            _ => false,
        })
    }

    /// Whether `value` is at most what instructions add or take from one of the targets.
    fn is_near(&self, value: u64) -> bool {
        let first = self.targets.partition_point(|target| *target < value.saturating_sub(TAKEN));
        self.targets.get(first).is_some_and(|target| *target <= value.saturating_add(ADDED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_what_two_displacements_reach() {
        let mentions = AddressFilter { targets: vec![0x10_0000, 0x50_0000] };
        for (value, is_near) in [
            (0x10_0000, true),
            (0x10_0000 - ADDED, true),
            (0x10_0000 - ADDED - 1, false),
            (0x10_0000 + TAKEN, true),
            (0x10_0000 + TAKEN + 1, false),
            (0x30_0000, false),
            (0x4f_f000, true),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(mentions.is_near(value), is_near, "{value:#x}");
        }
    }
}
