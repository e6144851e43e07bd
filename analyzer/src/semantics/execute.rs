//! The effect of an operation on registers, flags and memory, stated once for every machine.

use super::access::{Access, AccessKind, Address, Update};
use super::control::{Condition, Control};
use super::operand::{Extend, Logic, Operand, Register, RegisterSet, Shift, Width};
use super::operation::Operation;
use crate::addr::Svma;

/// A machine that operations are executed on: the values are numbers, or what an analysis knows
/// about them.
pub trait Machine {
    /// A value of 64 bits.
    type Value: Copy;

    /// The value of a register.
    fn get(&self, register: Register) -> Self::Value;
    /// Sets a register.
    fn set(&mut self, register: Register, value: Self::Value);
    /// A number as a value.
    fn number(&mut self, number: u64) -> Self::Value;
    /// A value that nothing is known about.
    fn unknown(&mut self) -> Self::Value;
    /// The low 32 bits of a value.
    fn narrow(&mut self, value: Self::Value) -> Self::Value;
    /// An operand after extension and shift.
    fn shifted(
        &mut self,
        value: Self::Value,
        extend: Extend,
        shift: Shift,
        width: Width,
    ) -> Self::Value;
    /// The result of a binary operator in this width; the upper half of a word is not yet clear.
    fn binary(
        &mut self,
        logic: Logic,
        left: Self::Value,
        right: Self::Value,
        width: Width,
    ) -> Self::Value;
    /// The flags are those of a comparison: a subtraction, an addition or an AND.
    fn compare(&mut self, logic: Logic, left: Self::Value, right: Self::Value, width: Width);
    /// The flags are unknown.
    fn forget_flags(&mut self);
    /// One of two values, by the flags.
    fn select(
        &mut self,
        condition: Condition,
        then: Self::Value,
        otherwise: Self::Value,
    ) -> Self::Value;
    /// Loads `bytes` bytes and extends them. The access tells the kind.
    fn load(&mut self, address: Self::Value, bytes: u32, access: &Access) -> Self::Value;
    /// Stores the low `bytes` bytes of a value; `None` if the value is not modelled.
    fn store(
        &mut self,
        address: Self::Value,
        bytes: u32,
        value: Option<Self::Value>,
        access: &Access,
    );
    /// Any memory may have changed.
    fn forget_memory(&mut self);
}

/// Executes `operation` on `machine`. Calls and system calls change the registers that their
/// conventions let them change; what they do to memory is for the analysis to say.
pub fn execute<M: Machine>(operation: &Operation, machine: &mut M) {
    match *operation {
        Operation::Nothing => {}
        Operation::Control(control) => call(control, machine),
        Operation::Set { to, value } => {
            let value = machine.number(value);
            machine.set(to, value);
        }
        Operation::Insert { to, mask, bits, width } => {
            let old = machine.get(to);
            let mask = machine.number(mask);
            let kept = machine.binary(Logic::AndNot, old, mask, width);
            let bits = machine.number(bits);
            let value = machine.binary(Logic::Or, kept, bits, width);
            set(machine, Some(to), value, width);
        }
        Operation::Binary { to, logic, left, right, width, sets_flags } => {
            let left = operand(machine, left, width);
            let right = operand(machine, right, width);
            if sets_flags {
                machine.compare(logic, left, right, width);
            }
            if to.is_some() {
                let value = machine.binary(logic, left, right, width);
                set(machine, to, value, width);
            }
        }
        Operation::Field { to, from, low, extend, left, keeps, width } => {
            let source = match from {
                Some(from) => machine.get(from),
                None => machine.number(0),
            };
            let right = match width {
                Width::Double => source,
                Width::Word => machine.narrow(source),
            };
            let moved = machine.shifted(right, Extend::NONE, Shift::Right(low), Width::Double);
            let field = machine.shifted(moved, extend, Shift::Left(left), Width::Double);
            let value = if keeps {
                let count = extend.bits;
                let mask = if count >= 64 { u64::MAX } else { ((1 << count) - 1) << left };
                let (old, mask) = (machine.get(to), machine.number(mask));
                let kept = machine.binary(Logic::AndNot, old, mask, width);
                machine.binary(Logic::Or, kept, field, width)
            } else {
                field
            };
            set(machine, Some(to), value, width);
        }
        Operation::Select { to, condition, then, otherwise, increment, complements, width } => {
            let then = operand(machine, then, width);
            let mut other = operand(machine, otherwise, width);
            if complements {
                let zero = machine.number(0);
                other = machine.binary(Logic::OrNot, zero, other, width);
            }
            if increment != 0 {
                let increment = machine.number(increment);
                other = machine.binary(Logic::Add, other, increment, width);
            }
            let value = machine.select(condition, then, other);
            set(machine, to, value, width);
        }
        Operation::ConditionalCompare => machine.forget_flags(),
        Operation::SetsFlags(registers) => {
            machine.forget_flags();
            forget(machine, registers);
        }
        Operation::Access(access) => run_access(machine, &access),
        Operation::Changes(registers) => forget(machine, registers),
        Operation::Unknown => {
            forget(machine, RegisterSet::ALL);
            machine.forget_flags();
            machine.forget_memory();
        }
    }
}

/// Calls change what the procedure call standard lets them change (AAPCS64, 6.1.1); a system call
/// changes its result, x0 (`arch/arm64/kernel/syscall.c`, Linux 6.12), and firmware x0 to x17
/// (SMCCC, 2.6).
fn call<M: Machine>(control: Control, machine: &mut M) {
    match control {
        Control::Call { .. } | Control::CallRegister { .. } => {
            forget(machine, RegisterSet::CHANGED_BY_CALLS);
            machine.forget_flags();
        }
        Control::SupervisorCall => forget(machine, RegisterSet(1)),
        Control::FirmwareCall => forget(machine, RegisterSet(0x3_ffff)),
        _ => {}
    }
}

fn forget<M: Machine>(machine: &mut M, registers: RegisterSet) {
    for register in registers.iter() {
        let value = machine.unknown();
        machine.set(register, value);
    }
}

fn set<M: Machine>(machine: &mut M, to: Option<Register>, value: M::Value, width: Width) {
    let Some(to) = to else { return };
    let value = match width {
        Width::Word => machine.narrow(value),
        Width::Double => value,
    };
    machine.set(to, value);
}

fn operand<M: Machine>(machine: &mut M, operand: Operand, width: Width) -> M::Value {
    match operand {
        Operand::Number(number) => machine.number(number),
        Operand::Register(register) => machine.get(register),
        Operand::Shifted(register, extend, shift) => {
            let value = machine.get(register);
            machine.shifted(value, extend, shift, width)
        }
    }
}

/// The address of an access.
pub fn effective_address<M: Machine>(machine: &mut M, access: &Access) -> M::Value {
    match access.address {
        Address::At(Svma(at)) => machine.number(at),
        Address::Offset(base, offset) => {
            let (base, offset) = (machine.get(base), machine.number(offset.cast_unsigned()));
            machine.binary(Logic::Add, base, offset, Width::Double)
        }
        Address::Indexed(base, index, extend, shift) => {
            let (base, index) = (machine.get(base), machine.get(index));
            let index = machine.shifted(index, extend, Shift::Left(shift), Width::Double);
            machine.binary(Logic::Add, base, index, Width::Double)
        }
    }
}

fn run_access<M: Machine>(machine: &mut M, access: &Access) {
    let mut address = effective_address(machine, access);
    // The base as it was, before a load replaces it.
    let updated = match access.update {
        Update::None => None,
        Update::Unknown(register) => Some((register, machine.unknown())),
        Update::Add(register, offset) => {
            let (base, offset) = (machine.get(register), machine.number(offset.cast_unsigned()));
            Some((register, machine.binary(Logic::Add, base, offset, Width::Double)))
        }
    };
    let mut loaded: [Option<(Register, M::Value)>; 2] = [None; 2];
    for index in 0..access.count as usize {
        if index > 0 {
            let bytes = machine.number(u64::from(access.bytes));
            address = machine.binary(Logic::Add, address, bytes, Width::Double);
        }
        match access.kind {
            AccessKind::Load { to, extend, width } => {
                let value = machine.load(address, access.bytes, access);
                let value = machine.shifted(value, extend, Shift::Left(0), Width::Double);
                let value = if width == Width::Word { machine.narrow(value) } else { value };
                loaded[index] = to[index].map(|to| (to, value));
            }
            AccessKind::Store { from, .. } => {
                let value = operand(machine, from[index], Width::Double);
                machine.store(address, access.bytes, Some(value), access);
            }
            AccessKind::Atomic { to, swap } => {
                let old = machine.load(address, access.bytes, access);
                let bits = access.bytes * 8;
                let extend = Extend { bits, is_signed: false };
                let old = machine.shifted(old, extend, Shift::Left(0), Width::Double);
                let new = swap.map(|swap| operand(machine, swap, Width::Double));
                machine.store(address, access.bytes, new, access);
                loaded[index] = to[index].map(|to| (to, old));
            }
            AccessKind::VectorLoad => {}
            AccessKind::VectorStore => machine.store(address, access.bytes, None, access),
        }
    }
    if let AccessKind::Store { status: Some(status), .. } = access.kind {
        let value = machine.unknown();
        machine.set(status, value);
    }
    if let Some((register, value)) = updated {
        machine.set(register, value);
    }
    for (register, value) in loaded.into_iter().flatten() {
        machine.set(register, value);
    }
}

/// The registers that `operation` may change.
#[must_use]
pub fn writes(operation: &Operation) -> RegisterSet {
    let mut recorder = Recorder(RegisterSet::default());
    execute(operation, &mut recorder);
    recorder.0
}

/// A machine that records which registers change.
struct Recorder(RegisterSet);

impl Machine for Recorder {
    type Value = ();

    fn get(&self, _: Register) {}

    fn set(&mut self, register: Register, (): ()) {
        self.0.add(register);
    }

    fn number(&mut self, _: u64) {}

    fn unknown(&mut self) {}

    fn narrow(&mut self, (): ()) {}

    fn shifted(&mut self, (): (), _: Extend, _: Shift, _: Width) {}

    fn binary(&mut self, _: Logic, (): (), (): (), _: Width) {}

    fn compare(&mut self, _: Logic, (): (), (): (), _: Width) {}

    fn forget_flags(&mut self) {}

    fn select(&mut self, _: Condition, (): (), (): ()) {}

    fn load(&mut self, (): (), _: u32, _: &Access) {}

    fn store(&mut self, (): (), _: u32, _: Option<()>, _: &Access) {}

    fn forget_memory(&mut self) {}
}
