//! A machine of numbers: the semantics, executed.

use crate::emulator::{State, WINDOW};
use jlctl_analyzer::semantics::{
    Access, Condition, Extend, Logic, Machine, Register, RegisterSet, Shift, Width,
};

/// The flags after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flags {
    Unchanged,
    Unknown,
    Known(u64),
}

/// A store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Store {
    pub(crate) address: u64,
    pub(crate) bytes: u32,
    pub(crate) value: Option<u64>,
}

/// The machine; a value that is not known is `None`.
#[derive(Debug)]
pub(crate) struct Concrete<'a> {
    before: &'a State,
    memory: &'a [u8],
    pub(crate) x: [Option<u64>; 32],
    pub(crate) set: RegisterSet,
    pub(crate) flags: Flags,
    pub(crate) stores: Vec<Store>,
    /// Whether any memory may have changed.
    pub(crate) forgets_memory: bool,
}

impl<'a> Concrete<'a> {
    pub(crate) fn new(before: &'a State, memory: &'a [u8]) -> Self {
        Self {
            before,
            memory,
            x: before.x.map(Some),
            set: RegisterSet::default(),
            flags: Flags::Unchanged,
            stores: Vec::new(),
            forgets_memory: false,
        }
    }
}

/// The sign of a value of this width.
fn is_negative(value: u64, width: Width) -> bool {
    value >> (width.bits() - 1) & 1 != 0
}

/// The flags of a comparison (`AddWithCarry`, Arm ARM J1).
fn flags(logic: Logic, left: u64, right: u64, width: Width) -> Option<u64> {
    let mask = width.mask();
    let (left, right) = (left & mask, right & mask);
    let (result, carry, overflow) = match logic {
        Logic::And => (left & right, false, false),
        Logic::AndNot => (left & !right, false, false),
        Logic::Add | Logic::Sub => {
            let (right, carry) = match logic {
                Logic::Add => (right, 0),
                _ => (!right & mask, 1),
            };
            let sum = u128::from(left) + u128::from(right) + u128::from(carry);
            let result = left.wrapping_add(right).wrapping_add(carry) & mask;
            let overflows = is_negative(left, width) == is_negative(right, width)
                && is_negative(result, width) != is_negative(left, width);
            (result, sum >> width.bits() != 0, overflows)
        }
        _ => return None,
    };
    let n = u64::from(is_negative(result, width));
    let z = u64::from(result == 0);
    Some(n << 31 | z << 30 | u64::from(carry) << 29 | u64::from(overflow) << 28)
}

impl Machine for Concrete<'_> {
    type Value = Option<u64>;

    fn get(&self, register: Register) -> Option<u64> {
        self.x[usize::from(register.number())]
    }

    fn set(&mut self, register: Register, value: Option<u64>) {
        self.set.add(register);
        self.x[usize::from(register.number())] = value;
    }

    fn number(&mut self, number: u64) -> Option<u64> {
        Some(number)
    }

    fn unknown(&mut self) -> Option<u64> {
        None
    }

    fn narrow(&mut self, value: Option<u64>) -> Option<u64> {
        Some(value? & Width::Word.mask())
    }

    fn shifted(
        &mut self,
        value: Option<u64>,
        extend: Extend,
        shift: Shift,
        width: Width,
    ) -> Option<u64> {
        Some(shift.apply(value?, extend, width))
    }

    fn binary(
        &mut self,
        logic: Logic,
        left: Option<u64>,
        right: Option<u64>,
        width: Width,
    ) -> Option<u64> {
        Some(logic.apply(left?, right?, width))
    }

    fn compare(&mut self, logic: Logic, left: Option<u64>, right: Option<u64>, width: Width) {
        let known = left.zip(right).and_then(|(left, right)| flags(logic, left, right, width));
        self.flags = known.map_or(Flags::Unknown, Flags::Known);
    }

    fn forget_flags(&mut self) {
        self.flags = Flags::Unknown;
    }

    fn select(
        &mut self,
        condition: Condition,
        then: Option<u64>,
        otherwise: Option<u64>,
    ) -> Option<u64> {
        if condition.holds(self.before.nzcv >> 28) { then } else { otherwise }
    }

    fn load(&mut self, address: Option<u64>, bytes: u32, _: &Access) -> Option<u64> {
        let at = usize::try_from(address?.checked_sub(WINDOW)?).ok()?;
        let mut value = [0; 8];
        let bytes = bytes as usize;
        value[..bytes].copy_from_slice(self.memory.get(at..at.checked_add(bytes)?)?);
        Some(u64::from_le_bytes(value))
    }

    fn store(&mut self, address: Option<u64>, bytes: u32, value: Option<Option<u64>>, _: &Access) {
        match address {
            Some(address) => {
                self.stores.push(Store { address, bytes, value: value.flatten() });
            }
            None => self.forgets_memory = true,
        }
    }

    fn forget_memory(&mut self) {
        self.forgets_memory = true;
    }
}
