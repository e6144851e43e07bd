//! Stubs of linkers: entries of the procedure linkage table, through which a program calls
//! functions of other files (AAELF64, "Procedure linkage table"), and veneers, through which a
//! branch reaches a target out of its range (AAELF64, 5.7.9).

use super::constants::ConstantMachine;
use super::function::FuncId;
use super::recovered::RecoveredProgram;
use super::scan::Event;
use crate::addr::{AddrRange, Svma};
use crate::image::ImportSlot;
use crate::semantics::{Control, INSN_BYTES, Machine as _, Operation, Register, a64, writes};
use std::cell::Cell;

/// Instructions before the branch of the longest stub: BTI, ADRP, LDR, ADD, and padding by the
/// linker.
const LONGEST: u64 = 6;

/// Branches through more stubs than these are not followed.
const MOST_HOPS: usize = 4;

/// What a stub branches to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    /// This address.
    Address(Svma),
    /// The address in this slot.
    Slot(Svma),
}

/// A code section that is not recovered yet, relocations applied.
type Code<'a> = &'a [(AddrRange, &'a [u8])];

fn word_at(code: Code<'_>, at: Svma) -> Option<u32> {
    let after = code.partition_point(|(range, _)| range.start() <= at);
    let (range, bytes) = code.get(after.checked_sub(1)?)?;
    let skip = usize::try_from(at.0 - range.start().0).ok()?;
    bytes.get(skip..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Registers that a stub may change: x16 and x17 (AAPCS64, 6.1.1).
const SCRATCH: [u8; 2] = [16, 17];

/// Code that only branches to a constant destination.
struct Stub {
    destination: Destination,
    /// Whether it changes no other registers than [`SCRATCH`].
    keeps_registers: bool,
}

/// The stub at `start`; `None` if the code there does more than to branch.
fn stub_at(code: Code<'_>, start: Svma) -> Option<Stub> {
    // The slot that the last load reads. A veneer loads its target from the code instead.
    let loaded = Cell::new(None);
    let memory = |at| {
        let value = literal(code, at).map(|value| value.0);
        loaded.set(Some(at).filter(|_| value.is_none()));
        value
    };
    let mut machine = ConstantMachine::new(&memory);
    let mut slots = [None; Register::COUNT];
    let mut keeps_registers = true;
    for step in 0..=LONGEST {
        let at = start.wrapping_add(step * INSN_BYTES);
        let operation = a64(word_at(code, at)?, at);
        match operation {
            Operation::Control(Control::JumpRegister { register }) => {
                let slot = slots[usize::from(register.number())].map(Destination::Slot);
                let address = machine.get(register).map(Svma).map(Destination::Address);
                return Some(Stub { destination: address.or(slot)?, keeps_registers });
            }
            // Nothing: BTI, AUTIA1716 and padding.
            Operation::Nothing | Operation::Set { .. } | Operation::Insert { .. } => {}
            Operation::Binary { sets_flags: false, .. } => {}
            Operation::Access(access) if !access.is_store() => {}
            _ => return None,
        }
        loaded.set(None);
        machine.step(&operation);
        for register in writes(&operation).iter() {
            slots[usize::from(register.number())] = loaded.get();
            keeps_registers &= SCRATCH.contains(&register.number());
        }
    }
    None
}

/// The eight bytes of code at `at`.
fn literal(code: Code<'_>, at: Svma) -> Option<Svma> {
    let (low, high) = (word_at(code, at)?, word_at(code, at.wrapping_add(INSN_BYTES))?);
    Some(Svma(u64::from(high) << 32 | u64::from(low)))
}

/// The stubs among the targets of branches that lead to code of the same file, each with the
/// function that it leads to, by address. `imports` are sorted by address.
pub(super) fn forwards(
    code: Code<'_>,
    imports: &[ImportSlot],
    events: &[Event],
) -> Vec<(Svma, Svma)> {
    let mut targets: Vec<Svma> = events.iter().filter_map(|event| event.control.target()).collect();
    targets.sort_unstable();
    targets.dedup();
    let is_code = |to: &Svma| to.is_aligned(INSN_BYTES) && word_at(code, *to).is_some();
    let next = |at: Svma| {
        let stub = stub_at(code, at).filter(|stub| stub.keeps_registers)?;
        let to = match stub.destination {
            Destination::Address(to) => to,
            Destination::Slot(slot) => import_at(imports, slot)?.definition?,
        };
        Some(to).filter(is_code).filter(|to| *to != at)
    };
    let last = |at: Svma| {
        let hops = std::iter::successors(next(at), |at| next(*at)).take(MOST_HOPS);
        hops.last()
    };
    targets.into_iter().filter_map(|at| Some((at, last(at)?))).collect()
}

fn import_at(imports: &[ImportSlot], slot: Svma) -> Option<&ImportSlot> {
    let at = imports.binary_search_by_key(&slot, |import| import.slot).ok()?;
    imports.get(at)
}

/// Functions that jump through a slot of `imports`, each with the symbol in its slot. `imports`
/// are sorted by address.
pub(super) fn stubs(
    program: &RecoveredProgram<'_>,
    imports: &[ImportSlot],
) -> Vec<(FuncId, String)> {
    if imports.is_empty() {
        return Vec::new();
    }
    let views: Vec<(AddrRange, &[u8])> =
        program.code.iter().map(|(range, bytes)| (*range, &**bytes)).collect();
    let stub_of = |id: FuncId| {
        let function = program.function(id);
        if function.range.size() > 16 * INSN_BYTES {
            return None;
        }
        match stub_at(&views, function.range.start())?.destination {
            Destination::Slot(slot) => Some((id, import_at(imports, slot)?.name.clone())),
            Destination::Address(_) => None,
        }
    };
    program.ids().filter_map(stub_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 0x1_0000;
    /// ADD x16, x16, x17: the veneer of GNU ld adds a distance to its address.
    const ADD_DISTANCE: u32 = 0x8b11_0210;

    /// Code of `words` from [`START`], of which a BL at 0x1000 calls the first.
    fn forwarded(words: &[u32], imports: &[ImportSlot]) -> Option<u64> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let padded = [bytes, vec![0; 0x100]].concat();
        let range = AddrRange::sized(Svma(START), padded.len() as u64);
        let call = Event { at: Svma(0x1000), control: Control::Call { to: Svma(START) } };
        let found = forwards(&[(range, &padded)], imports, &[call]);
        found.first().map(|(_, to)| to.0)
    }

    /// Stubs as GNU ld 2.40 and lld 19 write them, to `START + 0x40`.
    #[test]
    fn stubs_of_linkers_lead_to_their_targets() {
        let (adrp, add, br) = (0x9000_0010, 0x9101_0210, 0xd61f_0200);
        for (name, words) in [
            ("adrp, add", &[adrp, add, br][..]),
            ("bti", &[0xd503_245f, adrp, add, br]),
            ("literal", &[0x5800_0050, br, 0x1_0040, 0]),
            ("distance", &[0x5800_0090, 0x1000_0011, ADD_DISTANCE, br, 0x3c, 0]),
            ("two", &[0x9000_0010, 0x9100_4210, br, 0, adrp, add, br]),
        ] {
            assert_eq!(forwarded(words, &[]), Some(START + 0x40), "{name}");
        }
        for (name, words) in [
            ("another register", &[0x9000_0000, 0x9101_0000, 0xd61f_0000][..]),
            ("a call before", &[0x9400_0000, adrp, add, br]),
            ("out of the code", &[0x9000_0010, 0x913f_fe10, br]),
            ("itself", &[adrp, 0x9100_0210, br]),
            ("unknown", &[br]),
        ] {
            assert_eq!(forwarded(words, &[]), None, "{name}");
        }
    }

    #[test]
    fn a_slot_leads_to_the_definition_in_the_same_file() {
        // adrp x16, 0x11000; ldr x17, [x16, #8]; add x16, x16, #8; br x17
        let words = [0xb000_0010, 0xf940_0611, 0x9100_2210, 0xd61f_0220];
        let import =
            |definition| ImportSlot { slot: Svma(0x1_1008), name: "callee".to_owned(), definition };
        let own = Svma(START + 0x40);
        assert_eq!(forwarded(&words, &[import(Some(own))]), Some(own.0));
        assert_eq!(forwarded(&words, &[import(None)]), None);
        assert_eq!(forwarded(&words, &[]), None);
    }
}
