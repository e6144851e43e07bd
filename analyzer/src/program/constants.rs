//! Constants in registers.

use crate::addr::Svma;
use crate::semantics::{
    Access, Condition, Extend, Logic, Machine, Operation, Register, Shift, Width, execute,
};

/// A machine that knows constants only.
pub(crate) struct ConstantMachine<'a> {
    registers: [Option<u64>; 32],
    /// Reads 8 bytes of memory that does not change.
    memory: &'a dyn Fn(Svma) -> Option<u64>,
}

impl<'a> ConstantMachine<'a> {
    /// The machine at the start: no register is known.
    pub(crate) fn new(memory: &'a dyn Fn(Svma) -> Option<u64>) -> Self {
        Self { registers: [None; 32], memory }
    }

    /// Forgets all registers.
    pub(super) fn clear(&mut self) {
        self.registers = [None; 32];
    }

    /// Executes `operation`. Returns the constant that it makes by MOV, MOVK, ADR, ADRP or a sum.
    pub(crate) fn step(&mut self, operation: &Operation) -> Option<u64> {
        execute(operation, self);
        let to = match *operation {
            Operation::Set { to, .. } | Operation::Insert { to, .. } => to,
            Operation::Binary {
                to: Some(to), logic: Logic::Add | Logic::Sub | Logic::Or, ..
            } => to,
            _ => return None,
        };
        self.get(to)
    }
}

impl Machine for ConstantMachine<'_> {
    type Value = Option<u64>;

    fn get(&self, register: Register) -> Option<u64> {
        self.registers[usize::from(register.number())]
    }

    fn set(&mut self, register: Register, value: Option<u64>) {
        self.registers[usize::from(register.number())] = value;
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

    fn compare(&mut self, _: Logic, _: Option<u64>, _: Option<u64>, _: Width) {}

    fn forget_flags(&mut self) {}

    fn select(&mut self, _: Condition, then: Option<u64>, otherwise: Option<u64>) -> Option<u64> {
        then.filter(|_| then == otherwise)
    }

    fn load(&mut self, address: Option<u64>, bytes: u32, access: &Access) -> Option<u64> {
        if bytes != 8 || access.is_store() {
            return None;
        }
        (self.memory)(Svma(address?))
    }

    fn store(&mut self, _: Option<u64>, _: u32, _: Option<Option<u64>>, _: &Access) {}

    fn forget_memory(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::a64;

    /// Words as `llvm-mc -triple=aarch64 -show-encoding` makes them.
    #[test]
    fn constants_are_made_by_moves_and_sums() {
        let mut machine = ConstantMachine::new(&|at| (at == Svma(0x1010)).then_some(7));
        let mut step = |word| machine.step(&a64(word, Svma(0x40)));
        // adrp x1, 0x1000; add x2, x1, #16; ldr x3, [x2]; mov x4, x3.
        assert_eq!(step(0xb000_0001), Some(0x1000));
        assert_eq!(step(0x9100_4022), Some(0x1010));
        assert_eq!(step(0xf940_0043), None, "a load makes no address");
        assert_eq!(step(0xaa03_03e4), Some(7));
        // mov w5, #0x201f; movk w5, #0xd503, lsl #16.
        assert_eq!(step(0x5284_03e5), Some(0x201f));
        assert_eq!(step(0x72ba_a065), Some(0xd503_201f));
        // bl; mov x4, x3: the call has changed x3.
        assert_eq!(step(0x9400_0000), None);
        assert_eq!(step(0xaa03_03e4), None);
    }
}
