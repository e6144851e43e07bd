//! Stores to memory that a program made executable: which of them change code that other threads
//! may already execute.
//!
//! Memory is followed within one function, by the origin of the pointer to it
//! ([`super::registers`]). mmap and mprotect are known by name; so are, by their calls, functions
//! that pass their parameters on to mprotect. A store through the pointer changes existing code
//! in three cases:
//!
//! - The memory was executed in this function, or the pointer to it published by a store-release,
//!   after it was made executable. Its present protection does not matter.
//! - The address is in the code of the file.
//! - The memory comes from elsewhere (a parameter, a word of data) and is writable and executable
//!   at the time. A program that keeps memory executable while it writes usually has other
//!   threads in it. The lint does not see these threads, so it only assumes that the code exists.
//!
//! All other memory is fresh code. Pointers on the stack and other mappings of the same memory
//! are not followed.

use super::registers::{FunctionBody, RegisterAnalysis, RegisterState, ValueOrigin};
use super::subject::{PROT_EXEC, PROT_WRITE, Subject};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Lattice, solve};
use crate::program::{AccessKind, Block, CallSite, Event, FuncId, INSN_BYTES, Insn, access};
use foldhash::{HashMap, HashMapExt as _};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Functions of libc that write to the memory that their first argument points to.
const COPIES: [&str; 6] =
    ["memcpy", "memmove", "memset", "__memcpy_chk", "__memmove_chk", "__memset_chk"];

/// The effect of a function on the protection of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProtectionSetter {
    /// Maps new memory and returns it; the third argument is the protection.
    Maps,
    /// Sets the protection of the memory at one argument to the value of another.
    Sets { memory: usize, protection: usize },
    /// Sets the protection of the memory at an argument to a constant.
    SetsTo { memory: usize, protection: u64 },
}

/// The stores of one function that change existing code.
#[derive(Debug)]
pub(super) struct ExecutableStores {
    pub(super) function: FuncId,
    /// The instructions, by address. A copy is represented by its call.
    pub(super) addresses: Vec<Svma>,
    /// Whether it is only assumed, for all of them, that the code exists.
    pub(super) is_assumed: bool,
}

/// The stores that change existing code, by function.
pub(super) fn stores(subject: &Subject<'_, '_>) -> Vec<ExecutableStores> {
    if subject.is_kernel {
        return Vec::new();
    }
    let setters = setters(subject);
    let copies: Vec<FuncId> = imports(subject, &COPIES).map(|(id, _)| id).collect();
    let mut callers: Vec<FuncId> =
        setters.keys().flat_map(|id| subject.program.callers(*id)).map(|c| c.caller).collect();
    callers.sort_unstable();
    callers.dedup();
    let of = |id: FuncId| {
        let cfg = subject.cfg(id);
        let body = FunctionBody { program: &subject.program, cfg: &cfg, id };
        let values = RegisterAnalysis { image: subject.image, body };
        let found = RefCell::default();
        let analysis =
            MemoryAnalysis { subject, values, setters: &setters, copies: &copies, found };
        let solved = solve(&cfg, &analysis);
        if !solved.is_ok_and(|before| before.iter().flatten().all(|(_, memory)| memory.is_all)) {
            subject.unfollowed.set(subject.unfollowed.get() + 1);
        }
        let found = analysis.found.into_inner();
        let is_assumed = found.values().all(|is_assumed| *is_assumed);
        let addresses: Vec<Svma> = found.into_keys().collect();
        (!addresses.is_empty()).then_some(ExecutableStores { function: id, addresses, is_assumed })
    };
    callers.into_iter().filter_map(of).collect()
}

fn imports<'a>(
    subject: &'a Subject<'_, '_>,
    names: &'a [&str],
) -> impl Iterator<Item = (FuncId, &'a str)> {
    let imports = subject.program.imports().iter();
    imports.map(|(id, name)| (*id, name.as_str())).filter(|(_, name)| names.contains(name))
}

/// Levels of functions that pass their parameters on.
const LAYERS: usize = 3;

/// Instructions of the longest function that is recognised as passing its parameters on.
const LONGEST: u64 = 256;

/// The functions that set protections: mmap, mprotect, and those that pass their parameters on.
fn setters(subject: &Subject<'_, '_>) -> HashMap<FuncId, ProtectionSetter> {
    let mut all = HashMap::new();
    for (id, name) in imports(subject, &["mmap", "mmap64", "mprotect"]) {
        let setter = match name {
            "mprotect" => ProtectionSetter::Sets { memory: 0, protection: 2 },
            _ => ProtectionSetter::Maps,
        };
        all.insert(id, setter);
    }
    for _ in 0..LAYERS {
        let calls = all
            .iter()
            .flat_map(|(id, setter)| subject.program.callers(*id).map(move |call| (call, *setter)));
        let new: Vec<(FuncId, ProtectionSetter)> =
            calls.filter_map(|(call, setter)| forwarding(subject, call, setter)).collect();
        let before = all.len();
        for (id, setter) in new {
            all.entry(id).or_insert(setter);
        }
        if all.len() == before {
            break;
        }
    }
    all
}

/// The effect of the caller, if it passes its parameters on to a function with the effect
/// `setter`.
fn forwarding(
    subject: &Subject<'_, '_>,
    call: CallSite,
    setter: ProtectionSetter,
) -> Option<(FuncId, ProtectionSetter)> {
    if subject.program.function(call.caller).range.size() > LONGEST * INSN_BYTES {
        return None;
    }
    let (memory, protection) = match setter {
        ProtectionSetter::Maps => return None,
        ProtectionSetter::Sets { memory, protection } => (memory, Err(protection)),
        ProtectionSetter::SetsTo { memory, protection } => (memory, Ok(protection)),
    };
    let registers = registers_before(subject, call.caller, call.at)?;
    let parameter = |number: usize| match registers.argument(number)?.origin {
        ValueOrigin::Entry(number @ 0..8) => Some(usize::from(number)),
        _ => None,
    };
    let memory = parameter(memory)?;
    let setter = match protection {
        Ok(protection) => ProtectionSetter::SetsTo { memory, protection },
        Err(number) => match registers.argument(number)?.as_number() {
            Some(protection) => ProtectionSetter::SetsTo { memory, protection },
            None => ProtectionSetter::Sets { memory, protection: parameter(number)? },
        },
    };
    Some((call.caller, setter))
}

/// The registers before the instruction at `at` in `id`.
fn registers_before(subject: &Subject<'_, '_>, id: FuncId, at: Svma) -> Option<RegisterState> {
    let cfg = subject.cfg(id);
    let values = RegisterAnalysis {
        image: subject.image,
        body: FunctionBody { program: &subject.program, cfg: &cfg, id },
    };
    let before = solve(&cfg, &values).ok()?;
    let index = cfg.blocks.partition_point(|block| block.start <= at).checked_sub(1)?;
    let (block, mut registers) = (cfg.blocks.get(index)?, before.get(index).copied()??);
    for (here, word, insn) in values.body.instructions(block).take_while(|(here, ..)| *here < at) {
        registers.execute(subject.image, here, word, insn);
    }
    Some(registers)
}

/// The state of a piece of memory on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct MemoryUse {
    /// It is writable and executable.
    is_writable_and_executable: bool,
    /// It has been made executable.
    was_executable: bool,
    /// Since then it has been executed, or the pointer to it published.
    is_in_use: bool,
}

/// Memory that was made executable, by the origin of the pointer to it.
#[derive(Debug, Clone)]
struct TrackedMemory {
    regions: Vec<(ValueOrigin, MemoryUse)>,
    /// Whether all memory is tracked.
    is_all: bool,
}

/// Pieces of memory that are tracked in one function.
const MOST_REGIONS: usize = 8;

impl TrackedMemory {
    fn get(&self, origin: ValueOrigin) -> MemoryUse {
        let found = self.regions.iter().find(|(known, _)| *known == origin);
        found.map_or(MemoryUse::default(), |(_, region)| *region)
    }

    /// Records the state of memory, if there is room. Returns whether the record has changed.
    fn set(&mut self, origin: ValueOrigin, region: MemoryUse) -> bool {
        let has_room = self.regions.len() < MOST_REGIONS;
        match self.regions.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, known)) => std::mem::replace(known, region) != region,
            None if has_room => {
                self.regions.push((origin, region));
                region != MemoryUse::default()
            }
            None => std::mem::replace(&mut self.is_all, false),
        }
    }

    /// The call that returned `origin` is executed again and returns other memory.
    fn forget(&mut self, origin: ValueOrigin) {
        self.regions.retain(|(known, _)| *known != origin);
    }
}

impl Lattice for TrackedMemory {
    fn join(&mut self, other: &Self) -> bool {
        let mut grows = self.is_all && !other.is_all;
        self.is_all &= other.is_all;
        for (origin, there) in &other.regions {
            let here = self.get(*origin);
            let both = MemoryUse {
                is_writable_and_executable: here.is_writable_and_executable
                    || there.is_writable_and_executable,
                was_executable: here.was_executable || there.was_executable,
                is_in_use: here.is_in_use || there.is_in_use,
            };
            grows |= self.set(*origin, both);
        }
        grows
    }
}

struct MemoryAnalysis<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    values: RegisterAnalysis<'a, 'data>,
    setters: &'a HashMap<FuncId, ProtectionSetter>,
    copies: &'a [FuncId],
    /// Stores to existing code, with whether it is only assumed that the code exists.
    found: RefCell<BTreeMap<Svma, bool>>,
}

impl MemoryAnalysis<'_, '_, '_> {
    /// A store at `at` through a pointer with this origin.
    fn write(&self, origin: ValueOrigin, at: Svma, memory: &TrackedMemory) {
        let region = memory.get(origin);
        let is_in_use = match origin {
            ValueOrigin::Number(address) => {
                self.subject.program.function_at(Svma(address)).is_some()
            }
            _ => region.is_in_use,
        };
        let is_from_elsewhere = matches!(origin, ValueOrigin::Entry(_) | ValueOrigin::Word(_));
        if is_in_use || is_from_elsewhere && region.is_writable_and_executable {
            *self.found.borrow_mut().entry(at).or_insert(true) &= !is_in_use;
        }
    }

    fn call(
        &self,
        callee: FuncId,
        at: Svma,
        (registers, memory): &mut (RegisterState, TrackedMemory),
    ) {
        let argument = |number: usize| registers.argument(number);
        let protection =
            |number| argument(number).and_then(super::registers::RegisterValue::as_number);
        let (origin, protection) = match self.setters.get(&callee) {
            Some(ProtectionSetter::Maps) => {
                memory.forget(ValueOrigin::Result(at));
                (Some(ValueOrigin::Result(at)), protection(2))
            }
            Some(ProtectionSetter::Sets { memory, protection: number }) => {
                (argument(*memory).map(|value| value.origin), protection(*number))
            }
            Some(ProtectionSetter::SetsTo { memory, protection }) => {
                (argument(*memory).map(|value| value.origin), Some(*protection))
            }
            None => {
                let to = argument(0).filter(|_| self.copies.contains(&callee));
                to.into_iter().for_each(|value| self.write(value.origin, at, memory));
                return;
            }
        };
        if let (Some(origin), Some(protection)) = (origin, protection) {
            let region = memory.get(origin);
            let is_executable = protection & PROT_EXEC != 0;
            let is_writable_and_executable = is_executable && protection & PROT_WRITE != 0;
            let was_executable = region.was_executable || is_executable;
            memory.set(origin, MemoryUse { is_writable_and_executable, was_executable, ..region });
        }
    }

    /// The memory is branched to, or the pointer to it published.
    fn use_of(origin: ValueOrigin, memory: &mut TrackedMemory) {
        let region = memory.get(origin);
        if region.was_executable {
            memory.set(origin, MemoryUse { is_in_use: true, ..region });
        }
    }

    fn execute(&self, at: Svma, word: u32, insn: Insn, state: &mut (RegisterState, TrackedMemory)) {
        match insn {
            Insn::Call { to } => {
                if let Some(callee) = self.subject.program.function_at(to) {
                    self.call(callee, at, state);
                }
            }
            Insn::CallRegister { register } | Insn::JumpRegister { register } => {
                if let Some(value) = state.0.get(register) {
                    Self::use_of(value.origin, &mut state.1);
                }
            }
            _ => {}
        }
        if let Some(access) = access(word).filter(|access| access.kind == AccessKind::Store) {
            let base = state.0.get(access.base).map(|value| value.origin);
            // A constant is the address itself, so the offset counts.
            let origin = match base {
                Some(ValueOrigin::Number(_)) => state.0.address(access).map(ValueOrigin::Number),
                other => other,
            };
            origin.into_iter().for_each(|origin| self.write(origin, at, &state.1));
            let stored = state.0.get(access.register).filter(|_| access.is_ordered);
            stored.into_iter().for_each(|value| Self::use_of(value.origin, &mut state.1));
        }
        state.0.execute(self.subject.image, at, word, insn);
    }
}

impl Analysis for MemoryAnalysis<'_, '_, '_> {
    type State = (RegisterState, TrackedMemory);

    fn entry(&self) -> Self::State {
        (RegisterState::at_entry(), TrackedMemory { regions: Vec::new(), is_all: true })
    }

    fn transfer(&self, block: &Block, state: &mut Self::State) {
        let mut events = self.subject.program.events()[block.events.clone()].iter().peekable();
        for (at, word, insn) in self.values.body.instructions(block) {
            let event: Option<&Event> = events.next_if(|event| event.at == at);
            self.execute(at, word, event.map_or(insn, |event| event.insn), state);
        }
    }
}
