//! Writes into memory that a program made executable: which of them change code that others
//! may execute already.
//!
//! TrackedMemory is followed in one function, by where the pointer to it comes from
//! ([`super::registers`]); mprotect and mmap are known by their names, and so are functions that
//! hand their parameters on to mprotect. A store through the pointer changes existing code if
//! - it was executed here, or the pointer to it published by a store with release semantics,
//!   after it was made executable, whatever its protection is now; or
//! - the address is one in the code of the file; or
//! - the memory is from elsewhere (a parameter, a word of data) and both writable and
//!   executable at the time. Who keeps it executable while it is written has others executing
//!   it; but that they do is not seen here, so that this is no more than supposed.
//!
//! All else is fresh code. Not followed are pointers on the stack and other mappings of the
//! same memory.

use super::registers::{FunctionBody, RegisterAnalysis, RegisterState, ValueOrigin};
use super::subject::{PROT_EXEC, PROT_WRITE, Subject};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Lattice, solve};
use crate::program::{AccessKind, Block, CallSite, Event, FuncId, INSN_BYTES, Insn, access};
use foldhash::{HashMap, HashMapExt as _};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Functions of libc that write to what their first argument points to.
const COPIES: [&str; 6] =
    ["memcpy", "memmove", "memset", "__memcpy_chk", "__memmove_chk", "__memset_chk"];

/// How a call sets the protection of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProtectionSetter {
    /// Of new memory, which it returns; to what the third argument says.
    Maps,
    /// Of the memory that the argument of this number points into, to the protection in
    /// another.
    Sets { memory: usize, protection: usize },
    /// The same, to this protection.
    SetsTo { memory: usize, protection: u64 },
}

/// ExecutableStores of one function that change code which others may execute.
#[derive(Debug)]
pub(super) struct ExecutableStores {
    pub(super) function: FuncId,
    /// The instructions, by address; calls where it copies by one.
    pub(super) places: Vec<Svma>,
    /// Whether that others may execute it is no more than supposed of all of them.
    pub(super) is_supposed: bool,
}

/// The stores that change code which others may execute, by function.
pub(super) fn stores(subject: &Subject<'_, '_>) -> Vec<ExecutableStores> {
    if subject.is_kernel {
        return Vec::new();
    }
    let settings = settings(subject);
    let copies: Vec<FuncId> = imports(subject, &COPIES).map(|(id, _)| id).collect();
    let mut callers: Vec<FuncId> =
        settings.keys().flat_map(|id| subject.program.callers(*id)).map(|c| c.caller).collect();
    callers.sort_unstable();
    callers.dedup();
    let of = |id: FuncId| {
        let cfg = subject.cfg(id);
        let body = FunctionBody { program: &subject.program, cfg: &cfg, id };
        let values = RegisterAnalysis { image: subject.image, body };
        let found = RefCell::default();
        let regions =
            MemoryAnalysis { subject, values, settings: &settings, copies: &copies, found };
        let solved = solve(&cfg, &regions);
        if !solved.is_ok_and(|before| before.iter().flatten().all(|(_, memory)| memory.is_all)) {
            subject.unfollowed.set(subject.unfollowed.get() + 1);
        }
        let found = regions.found.into_inner();
        let is_supposed = found.values().all(|is_supposed| *is_supposed);
        let places: Vec<Svma> = found.into_keys().collect();
        (!places.is_empty()).then_some(ExecutableStores { function: id, places, is_supposed })
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

/// Calls by which a function is one that sets protections: it does so through so many others.
const LAYERS: usize = 3;

/// Instructions of the longest function that is taken for one that hands parameters on.
const LONGEST: u64 = 256;

/// The functions that set protections: mmap, mprotect, and those that hand parameters on.
fn settings(subject: &Subject<'_, '_>) -> HashMap<FuncId, ProtectionSetter> {
    let mut all = HashMap::new();
    for (id, name) in imports(subject, &["mmap", "mmap64", "mprotect"]) {
        let setting = match name {
            "mprotect" => ProtectionSetter::Sets { memory: 0, protection: 2 },
            _ => ProtectionSetter::Maps,
        };
        all.insert(id, setting);
    }
    for _ in 0..LAYERS {
        let calls = all.iter().flat_map(|(id, setting)| {
            subject.program.callers(*id).map(move |call| (call, *setting))
        });
        let new: Vec<(FuncId, ProtectionSetter)> =
            calls.filter_map(|(call, setting)| handed_on(subject, call, setting)).collect();
        let before = all.len();
        for (id, setting) in new {
            all.entry(id).or_insert(setting);
        }
        if all.len() == before {
            break;
        }
    }
    all
}

/// What the caller is if it hands its parameters on to a function of this setting.
fn handed_on(
    subject: &Subject<'_, '_>,
    call: CallSite,
    setting: ProtectionSetter,
) -> Option<(FuncId, ProtectionSetter)> {
    if subject.program.function(call.caller).range.size() > LONGEST * INSN_BYTES {
        return None;
    }
    let (memory, protection) = match setting {
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
    let setting = match protection {
        Ok(protection) => ProtectionSetter::SetsTo { memory, protection },
        Err(number) => match registers.argument(number)?.as_number() {
            Some(protection) => ProtectionSetter::SetsTo { memory, protection },
            None => ProtectionSetter::Sets { memory, protection: parameter(number)? },
        },
    };
    Some((call.caller, setting))
}

/// What the registers hold before the instruction at `at` of `id`.
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

/// What happened to memory on some way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct MemoryUse {
    /// It is writable and executable.
    is_both: bool,
    /// It was made executable.
    was_executable: bool,
    /// Since then it was executed, or the pointer to it published.
    is_in_use: bool,
}

/// TrackedMemory that was made executable, by where the pointer to it comes from.
#[derive(Debug, Clone)]
struct TrackedMemory {
    regions: Vec<(ValueOrigin, MemoryUse)>,
    /// Whether there was room for all of it.
    is_all: bool,
}

/// TrackedMemory that is followed in one function.
const MOST_REGIONS: usize = 8;

impl TrackedMemory {
    fn get(&self, origin: ValueOrigin) -> MemoryUse {
        let found = self.regions.iter().find(|(known, _)| *known == origin);
        found.map_or(MemoryUse::default(), |(_, region)| *region)
    }

    /// Notes what happened to memory, as far as there is room; whether that is new.
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

    /// The call that returned `origin` is made again: what it returns now is other memory.
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
                is_both: here.is_both || there.is_both,
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
    settings: &'a HashMap<FuncId, ProtectionSetter>,
    copies: &'a [FuncId],
    /// Places with whether that they change code in use is no more than supposed.
    found: RefCell<BTreeMap<Svma, bool>>,
}

impl MemoryAnalysis<'_, '_, '_> {
    /// A pointer is written through at `at`.
    fn write(&self, origin: ValueOrigin, at: Svma, memory: &TrackedMemory) {
        let region = memory.get(origin);
        let is_in_use = match origin {
            ValueOrigin::Number(address) => {
                self.subject.program.function_at(Svma(address)).is_some()
            }
            _ => region.is_in_use,
        };
        let is_from_elsewhere = matches!(origin, ValueOrigin::Entry(_) | ValueOrigin::Word(_));
        if is_in_use || is_from_elsewhere && region.is_both {
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
        let (origin, protection) = match self.settings.get(&callee) {
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
            let is_both = is_executable && protection & PROT_WRITE != 0;
            let was_executable = region.was_executable || is_executable;
            memory.set(origin, MemoryUse { is_both, was_executable, ..region });
        }
    }

    /// Something goes to where a register points, or is told of it.
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
            // A number is the place itself: another offset is another place.
            let place = match base {
                Some(ValueOrigin::Number(_)) => state.0.address(access).map(ValueOrigin::Number),
                other => other,
            };
            place.into_iter().for_each(|place| self.write(place, at, &state.1));
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
