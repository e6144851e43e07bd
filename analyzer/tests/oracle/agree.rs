//! Whether the semantics say what the oracle did.

use crate::emulator::{Answer, End, Record, State, WINDOW, WORD};
use crate::machine::{Concrete, Flags};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::semantics::{
    AccessKind, Control, Machine, Operation, Register, Test, a64, execute, writes,
};

/// The bits of a virtual address that authentication leaves as they are.
const POINTER: u64 = (1 << 48) - 1;

/// The differences between the semantics and an answer.
pub(crate) fn differences(record: &Record, answer: &Answer, memory: &[u8]) -> Vec<String> {
    let operation = a64(record.word, Svma(WORD));
    let mut found = Vec::new();
    if answer.end == End::Trapped {
        return found;
    }
    // A jump to a constant address that has no code is a trap too.
    if operation == Operation::Control(Control::Trap) {
        if answer.end == End::Next {
            found.push("does not trap".to_owned());
        }
        return found;
    }
    if let Some(expected) = end(&operation, record)
        && expected != answer.end
    {
        found.push(format!("continues at {:x?}, not {expected:x?}", answer.end));
    }
    let mut machine = Concrete::new(&record.state, memory);
    execute(&operation, &mut machine);
    registers(record, answer, &machine, &operation, &mut found);
    flags(record, answer, machine.flags, &mut found);
    if let Some(what) = window(answer, memory, &machine, &operation) {
        found.push(what);
    }
    found
}

/// Where the word continues; `None` if that is not modelled.
fn end(operation: &Operation, record: &Record) -> Option<End> {
    let Operation::Control(control) = *operation else { return Some(End::Next) };
    let register = |register: Register| record.state.x[usize::from(register.number())];
    Some(match control {
        Control::Jump { to } | Control::Call { to } => End::At(to.0),
        Control::Branch { to, test } if taken(test, &record.state) => End::At(to.0),
        Control::CallRegister { register: by } | Control::JumpRegister { register: by } => {
            // The emulator takes the upper byte away from an address with a tag.
            let to = register(by);
            if to >> 48 != 0 || to & 3 != 0 {
                return None;
            }
            End::At(to)
        }
        Control::Branch { .. } | Control::Barrier(_) | Control::Cache(..) => End::Next,
        Control::Trap
        | Control::Return
        | Control::ExceptionReturn
        | Control::SupervisorCall
        | Control::FirmwareCall => return None,
    })
}

fn taken(test: Test, state: &State) -> bool {
    let value = |register: Option<Register>| {
        register.map_or(0, |register| state.x[usize::from(register.number())])
    };
    match test {
        Test::Flags(condition) => condition.holds(state.nzcv >> 28),
        Test::Zero { register, width, is_not } => (value(register) & width.mask() == 0) != is_not,
        Test::Bit { register, bit, is_not } => (value(register) >> bit & 1 == 0) != is_not,
        Test::Patched => false,
    }
}

/// Whether the word, or the one before it, signs or authenticates a pointer in a register, which
/// the semantics take for unchanged: the pointer points where it did.
fn authenticates(record: &Record, register: usize) -> bool {
    let base = (record.word >> 5 & 31) as usize;
    match record.word {
        // PACIA1716 and the others of x17, and XPACLRI.
        0xd503_211f | 0xd503_215f | 0xd503_219f | 0xd503_21df => register == 17,
        0xd503_20ff => register == 30,
        word if word & 0xffff_ff1f == 0xd503_231f => register == 30,
        // LDRAA and LDRAB.
        word if word & 0xff20_0400 == 0xf820_0400 => register == base,
        _ => false,
    }
}

fn registers(
    record: &Record,
    answer: &Answer,
    machine: &Concrete<'_>,
    operation: &Operation,
    found: &mut Vec<String>,
) {
    let written = writes(operation);
    for number in 0..32_u8 {
        let register = Register::new(number).expect("it is below 32");
        let at = usize::from(number);
        let (old, new) = (record.state.x[at], answer.state.x[at]);
        let mask = if authenticates(record, at) { POINTER } else { u64::MAX };
        let expected = machine.get(register);
        if !machine.set.has(register) && (old ^ new) & mask != 0 {
            found.push(format!("x{number} changes from {old:#x} to {new:#x}"));
        } else if let Some(expected) = expected
            && (expected ^ new) & mask != 0
        {
            found.push(format!("x{number} is {new:#x}, not {expected:#x}; it was {old:#x}"));
        }
        if machine.set.has(register) && !written.has(register) {
            found.push(format!("x{number} is not in writes()"));
        }
    }
}

fn flags(record: &Record, answer: &Answer, flags: Flags, found: &mut Vec<String>) {
    let (old, new) = (record.state.nzcv, answer.state.nzcv);
    let expected = match flags {
        Flags::Unknown => return,
        Flags::Unchanged => old,
        Flags::Known(known) => known,
    };
    if new != expected {
        found.push(format!("flags are {new:#x}, not {expected:#x}; they were {old:#x}"));
    }
}

/// The first difference in the window.
fn window(
    answer: &Answer,
    memory: &[u8],
    machine: &Concrete<'_>,
    operation: &Operation,
) -> Option<String> {
    let is_unchanged = answer.memory == memory;
    let may_be_unchanged = machine.stores.is_empty() || may_fail(operation);
    if machine.forgets_memory || is_unchanged && may_be_unchanged {
        return None;
    }
    let mut expected: Vec<Option<u8>> = memory.iter().copied().map(Some).collect();
    for store in &machine.stores {
        for index in 0..store.bytes {
            let at = store.address.wrapping_add(u64::from(index)).wrapping_sub(WINDOW);
            let Some(byte) = usize::try_from(at).ok().and_then(|at| expected.get_mut(at)) else {
                continue;
            };
            *byte = store.value.map(|value| value.to_le_bytes()[index as usize]);
        }
    }
    let pairs = expected.iter().zip(&answer.memory).enumerate();
    let (at, (expected, found)) =
        pairs.into_iter().find(|(_, (byte, found))| byte.is_some_and(|byte| byte != **found))?;
    Some(format!("byte {at} of the window is {found:#x}, not {expected:x?}: {:x?}", machine.stores))
}

/// Exclusive stores, which may leave memory as it was.
fn may_fail(operation: &Operation) -> bool {
    let Operation::Access(access) = operation else { return false };
    matches!(access.kind, AccessKind::Store { .. }) && access.is_exclusive
}
