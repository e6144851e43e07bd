//! Decides from single instructions whether a function may make an address: a cheap filter before
//! an analysis tracks its registers.
//!
//! An address beyond the range of a page and two displacements needs instructions that are rare.
//! A function with such an instruction counts as making every address.

use crate::image::Image;
use crate::program::{FuncId, RecoveredProgram, constant_at, constants};
use crate::semantics::{Address, Logic, Operand, Operation};
use std::collections::BTreeSet;

/// The most that an ADD or SUB without a shift and the displacement of an access together add to
/// an address, and subtract from it, in bytes (Arm ARM C6.2: 12 bits; 12 bits scaled by 8 or 16;
/// 9 bits, or 7 bits scaled by 8).
const ADDED: u64 = 0x1000 + 0x1_0000;
const TAKEN: u64 = 0x1000 + 0x200;

/// Addresses, and the read-only slots that hold them.
pub(super) struct AddressFilter {
    /// Ascending.
    targets: Vec<u64>,
}

impl AddressFilter {
    /// Builds the filter for `addresses` in `image`.
    pub(super) fn of(image: &Image<'_>, addresses: &BTreeSet<u64>) -> Self {
        let own = Self { targets: addresses.iter().copied().collect() };
        let slots = constants(image).filter(|(_, word)| own.is_near(*word));
        let mut targets: Vec<u64> = slots.map(|(slot, _)| slot.0).collect();
        targets.extend(&own.targets);
        targets.sort_unstable();
        Self { targets }
    }

    /// Whether an instruction of `id` may make one of the addresses.
    pub(super) fn can_be_in(
        &self,
        program: &RecoveredProgram<'_>,
        image: &Image<'_>,
        id: FuncId,
    ) -> bool {
        let range = program.function(id).range;
        let mut operations = program.operations(range.start(), range.end());
        operations.any(|(_, operation)| match operation {
            Operation::Set { value, .. } => self.is_near(value),
            // MOVK above the low 16 bits.
            Operation::Insert { mask, .. } => mask > 0xffff,
            Operation::Binary {
                logic: Logic::Add | Logic::Sub,
                right: Operand::Number(number),
                sets_flags: false,
                ..
            } => number >= 0x1000,
            // The slot of any other load is one of the targets.
            Operation::Access(access) => match access.address {
                Address::At(from) if access.is_load() => {
                    constant_at(image, from).is_some_and(|value| self.is_near(value))
                }
                _ => false,
            },
            _ => false,
        })
    }

    /// Whether instructions can make one of the targets from `value` by adding or subtracting.
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
