//! Decides whether a function of a program changes existing code, which other threads may already
//! execute, or writes fresh code.
//!
//! Each function that maintains caches, changes protections or writes to its own process is
//! analysed once, with the values of [`crate::values`]. Memory is identified by the path of the
//! pointer to it. [`ExistingCode`] lists the kinds of evidence, the strongest first.

use super::address_filter::AddressFilter;
use super::model::FunctionRole;
use super::primitive::{MemoryEffect, Primitives, flushed_bytes, is_modification};
use super::subject::{PROT_EXEC, PROT_WRITE, Subject, is_system_call};
use crate::addr::Svma;
use crate::dataflow::{Analysis, Lattice, Successor, solve};
use crate::program::{Block, FuncId};
use crate::semantics::{AccessKind, Control, Operation};
use crate::values::{Distance, FunctionBody, Origin, Path, Value, ValueAnalysis, ValueState};
use std::collections::BTreeSet;

/// The evidence that the code which a function changes exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum ExistingCode {
    /// It is code of the file itself.
    OwnText,
    /// The memory was executed, or the pointer to it published, before the change.
    Published,
    /// The instruction is loaded, changed, and stored back to the same address.
    Modified,
    /// Its protection is changed to writable for the store, and back.
    Toggled,
    /// One or two words at a given address are replaced, and the caches are maintained for these
    /// words alone.
    Replaced,
    /// It is written through another mapping of the same memory.
    SecondMapping,
    /// It is written through /proc/self/mem or process_vm_writev(2).
    ProcessMemory,
    /// The memory of a caller is written while it is executable.
    WhileExecutable,
}

impl ExistingCode {
    /// The reason, for reports.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::OwnText => "the code is part of the file itself",
            Self::Published => {
                "the memory was executed, or a pointer to it published, before the change"
            }
            Self::Modified => "an instruction is loaded, modified and stored back",
            Self::Toggled => {
                "memory that the function did not map is made writable for the store, and \
                 executable again"
            }
            Self::Replaced => {
                "one or two words at a given address are replaced, and only these words are flushed"
            }
            Self::SecondMapping => "the code is written through a second mapping of its memory",
            Self::ProcessMemory => {
                "the process writes its own memory through the kernel, past the page protections"
            }
            Self::WhileExecutable => "memory of a caller is written while it is executable",
        }
    }

    /// Whether the evidence is conclusive.
    pub(super) const fn is_certain(self) -> bool {
        matches!(self, Self::OwnText | Self::Published)
    }
}

/// The changes of one function to existing code.
#[derive(Debug)]
pub(super) struct CodePatch {
    pub(super) function: FuncId,
    /// The instructions that change it, by address: stores, calls that copy, system calls.
    pub(super) stores: Vec<Svma>,
    pub(super) why: ExistingCode,
}

/// The functions of a program that change existing code, by address.
pub(super) fn patches(subject: &Subject<'_, '_>, primitives: &Primitives) -> Vec<CodePatch> {
    if subject.is_kernel {
        return Vec::new();
    }
    let program = &subject.program;
    let mut functions: Vec<FuncId> =
        primitives.callees().flat_map(|id| program.callers(id)).map(|call| call.caller).collect();
    functions.extend(program.ids().filter(|id| subject.maintains_inline(*id)));
    functions.extend(
        program
            .ids()
            .filter(|id| subject.role(*id) == Some(FunctionRole::Maintains))
            .flat_map(|id| program.callers(id))
            .map(|call| call.caller),
    );
    let calls = program.events().iter().filter(|event| is_system_call(event));
    functions.extend(calls.filter_map(|event| program.function_at(event.at)));
    functions.extend(primitives.callers_by_pointer(subject));
    functions.extend(openers(subject));
    functions.sort_unstable();
    functions.dedup();
    functions.retain(|id| !primitives.is_transparent(*id));
    let facts: Vec<(FuncId, Facts)> = functions
        .into_iter()
        .filter_map(|id| Some((id, facts(subject, primitives, id)?)))
        .collect();
    let has_second_mapping = facts.iter().any(|(_, facts)| facts.maps_twice());
    facts
        .iter()
        .filter_map(|(id, facts)| {
            let (why, stores) = facts.evidence(subject, has_second_mapping)?;
            Some(CodePatch { function: *id, stores, why })
        })
        .collect()
}

/// The functions that may open the memory of the process.
fn openers(subject: &Subject<'_, '_>) -> Vec<FuncId> {
    let names =
        subject.image.sections().iter().filter(|section| section.is_data()).flat_map(|section| {
            let start = section.range.start();
            let found = memchr::memmem::find_iter(section.data, OWN_MEMORY);
            found.map(move |at| start.wrapping_add(at as u64).0)
        });
    let names: BTreeSet<u64> = names.collect();
    if names.is_empty() {
        return Vec::new();
    }
    let filter = AddressFilter::of(subject.image, &names);
    let program = &subject.program;
    program.ids().filter(|id| filter.can_be_in(program, subject.image, *id)).collect()
}

/// A store, or a call that copies.
#[derive(Debug, Clone, Copy)]
struct Store {
    at: Svma,
    to: Value,
    value: Value,
    /// Size in bytes, if known.
    bytes: Option<u64>,
    memory: MemoryUse,
    /// Whether it is in a loop.
    is_repeated: bool,
    /// Whether the value was loaded from the same address and changed.
    is_modification: bool,
}

/// What a function does to code, in the order of addresses.
#[derive(Debug, Default)]
struct Facts {
    stores: Vec<Store>,
    flushes: Vec<(Svma, Value, Value)>,
    protections: Vec<(Value, Option<u64>)>,
    maps: Vec<(Value, Value, Value)>,
    /// Writes to the memory of the process, with the address if it is known.
    process_writes: Vec<(Svma, Value)>,
}

/// MAP_SHARED of mmap(2).
const MAP_SHARED: u64 = 1;
/// Size in bytes of the largest change that counts as a replacement of one or two instructions.
const REPLACED: u64 = 16;
/// Size in bytes of the largest copy that counts as bounded.
const BOUNDED: u64 = 64;

impl Facts {
    /// Records the effects of the instruction at `at`, except copies.
    fn record(&mut self, effects: &[MemoryEffect], memory: &TrackedMemory, at: Svma) {
        for effect in effects {
            match *effect {
                MemoryEffect::Map { protection, flags, file } => {
                    self.maps.push((protection, flags, file));
                }
                MemoryEffect::Protect { memory, protection } => {
                    self.protections.push((memory, protection.as_number()));
                }
                MemoryEffect::Flush { start, end } => self.flushes.push((at, start, end)),
                MemoryEffect::WriteProcess { process } if memory.is_own(process) => {
                    self.process_writes.push((at, Value::Unknown));
                }
                MemoryEffect::WriteFile { file, offset } if memory.is_own(file) => {
                    self.process_writes.push((at, offset));
                }
                _ => {}
            }
        }
    }

    /// Whether the same file is mapped writable at one address and executable at another.
    fn maps_twice(&self) -> bool {
        let with = |bit: u64, without: u64| {
            self.maps.iter().filter(move |(protection, flags, _)| {
                protection.as_number().is_some_and(|p| p & bit != 0 && p & without == 0)
                    && flags.as_number().is_none_or(|flags| flags & MAP_SHARED != 0)
            })
        };
        with(PROT_WRITE, PROT_EXEC).any(|(_, _, file)| {
            file.path().is_some() && with(PROT_EXEC, PROT_WRITE).any(|(_, _, other)| file == other)
        })
    }

    /// The strongest evidence, with the instructions that change the code.
    fn evidence(
        &self,
        subject: &Subject<'_, '_>,
        has_second_mapping: bool,
    ) -> Option<(ExistingCode, Vec<Svma>)> {
        self.own_text(subject)
            .or_else(|| self.process_memory(subject))
            .or_else(|| self.stores_if(ExistingCode::Published, |store| store.memory.is_in_use))
            .or_else(|| self.modified())
            .or_else(|| self.toggled())
            .or_else(|| self.replaced())
            .or_else(|| self.second_mapping(has_second_mapping))
            .or_else(|| {
                self.stores_if(ExistingCode::WhileExecutable, |store| {
                    is_from_elsewhere(store.to) && store.memory.is_writable_and_executable
                })
            })
    }

    fn stores_if(
        &self,
        why: ExistingCode,
        is_patch: impl Fn(&Store) -> bool,
    ) -> Option<(ExistingCode, Vec<Svma>)> {
        let stores = self.stores.iter().filter(|store| is_patch(store));
        let stores: Vec<Svma> = stores.map(|store| store.at).collect();
        (!stores.is_empty()).then_some((why, stores))
    }

    fn own_text(&self, subject: &Subject<'_, '_>) -> Option<(ExistingCode, Vec<Svma>)> {
        let is_code = |value: Value| value.as_number().is_some_and(|at| subject.is_code(Svma(at)));
        let direct = self.stores_if(ExistingCode::OwnText, |store| is_code(store.to));
        if direct.is_some() {
            return direct;
        }
        let protected: Vec<Value> = self
            .protections
            .iter()
            .filter(|(_, protection)| protection.is_none_or(|p| p & PROT_WRITE != 0))
            .map(|(memory, _)| *memory)
            .collect();
        let is_own = protected.iter().any(|memory| is_code(*memory))
            || self.flushes.iter().any(|(_, start, _)| is_code(*start));
        if !is_own {
            return None;
        }
        let unknown = self.stores_if(ExistingCode::OwnText, |store| store.to.path().is_none());
        let flushes = || {
            let flushes: Vec<Svma> = self.flushes.iter().map(|(at, ..)| *at).collect();
            (!flushes.is_empty()).then_some((ExistingCode::OwnText, flushes))
        };
        unknown.or_else(flushes)
    }

    fn process_memory(&self, subject: &Subject<'_, '_>) -> Option<(ExistingCode, Vec<Svma>)> {
        let (_, to) = self.process_writes.first()?;
        let is_code = to.as_number().is_some_and(|at| subject.is_code(Svma(at)));
        let why = if is_code { ExistingCode::OwnText } else { ExistingCode::ProcessMemory };
        Some((why, self.process_writes.iter().map(|(at, _)| *at).collect()))
    }

    /// Whether the caches are maintained for memory at `to`.
    fn is_flushed(&self, to: Value) -> bool {
        self.flushes.iter().any(|(_, start, _)| match (start.path(), to.path()) {
            (Some(start), Some(to)) => start == to,
            _ => false,
        })
    }

    /// A store of a value that was loaded from the same address and changed, here or in a callee.
    fn modified(&self) -> Option<(ExistingCode, Vec<Svma>)> {
        self.stores_if(ExistingCode::Modified, |store| {
            store.is_modification && self.is_flushed(store.to)
        })
    }

    /// The protection is changed to writable and back around a bounded store.
    fn toggled(&self) -> Option<(ExistingCode, Vec<Svma>)> {
        let of = |memory: &Value| memory.path();
        let opens = self.protections.iter().filter(|(memory, protection)| {
            is_part(*memory) && protection.is_some_and(|p| p & PROT_WRITE != 0)
        });
        let closed = opens.filter(|(opened, _)| {
            self.protections.iter().any(|(memory, protection)| {
                of(memory) == of(opened)
                    && protection.is_none_or(|p| p & PROT_WRITE == 0 && p & PROT_EXEC != 0)
            })
        });
        let paths: Vec<Path> = closed.filter_map(|(memory, _)| memory.path()).collect();
        let is_within = |store: &Store| {
            let is_bounded =
                !store.is_repeated && store.bytes.is_some_and(|bytes| bytes <= BOUNDED);
            is_bounded && store.to.path().is_some_and(|path| paths.contains(&path))
        };
        let toggled = self.stores_if(ExistingCode::Toggled, is_within);
        // A function that sets one of two protections is called twice, and what changes in between
        // is an instruction.
        let is_twice = |memory: &Value| {
            is_from_elsewhere(*memory)
                && self.protections.iter().filter(|(other, _)| of(other) == of(memory)).count() > 1
        };
        let is_changed = self.protections.iter().any(|(memory, _)| is_twice(memory));
        toggled.or_else(|| {
            self.stores_if(ExistingCode::Toggled, |store| is_changed && store.is_modification)
        })
    }

    /// One or two words are stored at a given address, for which alone the caches are maintained.
    fn replaced(&self) -> Option<(ExistingCode, Vec<Svma>)> {
        for (_, start, end) in &self.flushes {
            let size = flushed_bytes(*start, *end).filter(|size| (1..=REPLACED).contains(size));
            let (Some(_), Some(path)) = (size, start.path()) else { continue };
            if !is_from_elsewhere(*start) || self.is_cursor(path) {
                continue;
            }
            let stores: Vec<&Store> =
                self.stores.iter().filter(|store| store.to.path() == Some(path)).collect();
            let is_word =
                |store: &&&Store| matches!(store.bytes, Some(4 | 8)) && !store.is_repeated;
            if (1..=2).contains(&stores.len())
                && stores.iter().filter(is_word).count() == stores.len()
            {
                let stores = stores.iter().map(|store| store.at).collect();
                return Some((ExistingCode::Replaced, stores));
            }
        }
        None
    }

    /// Whether the pointer at the end of `path` is moved on: code is appended there.
    fn is_cursor(&self, path: Path) -> bool {
        self.stores.iter().any(|store| {
            let is_moved = matches!(
                store.value,
                Value::At(value, Distance::Exactly(by)) if value == path && by > 0
            ) || matches!(
                store.value,
                Value::At(value, Distance::Indexed(..) | Distance::Somewhere) if value == path
            );
            let holds = match (store.to, path.origin(), path.container()) {
                (Value::Number(at), Origin::Word(word), None) => at == word,
                (Value::At(to, Distance::Exactly(at)), _, Some((container, offset))) => {
                    to == container && Some(at) == offset
                }
                _ => false,
            };
            is_moved && holds
        })
    }

    /// One or two words are stored at one address, and the caches maintained for as much at
    /// another.
    fn second_mapping(&self, has_second_mapping: bool) -> Option<(ExistingCode, Vec<Svma>)> {
        if !has_second_mapping {
            return None;
        }
        let is_small = self.flushes.iter().any(|(_, start, end)| {
            is_from_elsewhere(*start)
                && flushed_bytes(*start, *end).is_some_and(|size| size <= REPLACED)
        });
        let is_word = |store: &Store| {
            is_from_elsewhere(store.to) && matches!(store.bytes, Some(4 | 8)) && !store.is_repeated
        };
        let found = self.stores_if(ExistingCode::SecondMapping, is_word);
        found.filter(|(_, stores)| is_small && stores.len() <= 2)
    }
}

/// Whether memory is a part of what a parameter or a word of data points into: its page, or the
/// memory that a field points to. A parameter itself may be memory that the caller has just
/// mapped.
fn is_part(memory: Value) -> bool {
    let is_parameter = matches!(
        memory,
        Value::At(path, Distance::Exactly(_))
            if matches!(path.origin(), Origin::Entry(_)) && path.loads().is_empty()
    );
    is_from_elsewhere(memory) && !is_parameter
}

/// Whether memory comes from a parameter or from data.
fn is_from_elsewhere(memory: Value) -> bool {
    let origin = memory.path().map(Path::origin);
    matches!(origin, Some(Origin::Entry(_) | Origin::Word(_)))
}

/// Reads a function; `None` if it has no fact of interest or is too large to follow.
fn facts(subject: &Subject<'_, '_>, primitives: &Primitives, id: FuncId) -> Option<Facts> {
    let cfg = subject.cfg(id);
    let body = FunctionBody { program: &subject.program, cfg: &cfg, id };
    let values = ValueAnalysis { image: subject.image, body };
    let analysis = MemoryAnalysis { subject, primitives, values };
    let Ok(before) = solve(&cfg, &analysis) else {
        subject.unfollowed.set(subject.unfollowed.get() + 1);
        return None;
    };
    if before.iter().flatten().any(|state| !state.memory.is_all) {
        subject.unfollowed.set(subject.unfollowed.get() + 1);
    }
    let mut facts = Facts::default();
    for (index, (block, state)) in cfg.blocks.iter().zip(before).enumerate() {
        let Some(mut state) = state else { continue };
        let mut is_repeated = None;
        for (at, operation) in body.instructions(block) {
            let effects = primitives.of_operation(subject, &operation, &state.values);
            let mut is_repeated = || *is_repeated.get_or_insert_with(|| cfg.has_path(index, index));
            for store in stores(&analysis, &effects, &mut state, at, &operation) {
                facts.stores.push(Store { is_repeated: is_repeated(), ..store });
            }
            facts.record(&effects, &state.memory, at);
            analysis.step(at, &operation, &effects, &mut state);
        }
    }
    Some(facts)
}

/// The stores of an instruction to memory other than the stack: its own, that of a function which
/// copies, and that of a short callee which changes an instruction.
fn stores(
    analysis: &MemoryAnalysis<'_, '_, '_>,
    effects: &[MemoryEffect],
    state: &mut MemoryState,
    at: Svma,
    operation: &Operation,
) -> Vec<Store> {
    let MemoryAnalysis { subject, primitives, .. } = analysis;
    let mut found = Vec::new();
    let mut add = |to: Value, value, bytes, is_modification, memory: &TrackedMemory| {
        if !to.is_on_stack() {
            let memory = memory.of(to);
            found.push(Store { at, to, value, bytes, memory, is_repeated: false, is_modification });
        }
    };
    for effect in effects {
        if let MemoryEffect::Copy { to, bytes } = *effect {
            add(to, Value::Unknown, bytes.as_number(), false, &state.memory);
        }
    }
    if let Some(to) = primitives.modified_by(subject, operation, &state.values) {
        add(to, Value::Unknown, Some(4), true, &state.memory);
    }
    if let Operation::Access(access) = operation
        && access.is_store()
    {
        let to = state.values.address(subject.image, at, access);
        let value = match access.kind {
            AccessKind::Store { from, .. } => state.values.operand(from[0]),
            AccessKind::Atomic { swap: Some(swap), .. } => state.values.operand(swap),
            _ => Value::Unknown,
        };
        let bytes = access.bytes * access.count;
        let is_modification = bytes == 4 && is_modification(to, value);
        add(to, value, Some(u64::from(bytes)), is_modification, &state.memory);
    }
    found
}

/// The state of a piece of memory on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct MemoryUse {
    /// It is writable and executable.
    is_writable_and_executable: bool,
    /// It has been made executable.
    was_executable: bool,
    /// The caches have been maintained for it: it holds complete code.
    was_flushed: bool,
    /// It has been executed since it was made executable, or the pointer to it published: by a
    /// store-release, or in any way once it held complete code.
    is_in_use: bool,
}

/// Memory that was made executable, by the path of the pointer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TrackedMemory {
    regions: Vec<(Path, MemoryUse)>,
    /// Open files of the memory of the process, and the number of the process.
    own: Vec<Origin>,
    /// Whether all memory is tracked.
    is_all: bool,
}

/// Pieces of memory that are tracked in one function.
const MOST_REGIONS: usize = 8;

impl TrackedMemory {
    fn of(&self, address: Value) -> MemoryUse {
        address.path().map_or(MemoryUse::default(), |path| self.get(path))
    }

    fn get(&self, path: Path) -> MemoryUse {
        let found = self.regions.iter().find(|(known, _)| *known == path);
        found.map_or(MemoryUse::default(), |(_, region)| *region)
    }

    /// Records the state of memory, if there is room. Returns whether the record has changed.
    fn set(&mut self, path: Path, region: MemoryUse) -> bool {
        let has_room = self.regions.len() < MOST_REGIONS;
        match self.regions.iter_mut().find(|(known, _)| *known == path) {
            Some((_, known)) => std::mem::replace(known, region) != region,
            None if region == MemoryUse::default() => false,
            None if has_room => {
                self.regions.push((path, region));
                true
            }
            None => std::mem::replace(&mut self.is_all, false),
        }
    }

    /// Whether a value is an open file of the memory of the process, or the number of the process.
    fn is_own(&self, value: Value) -> bool {
        self.own.iter().any(|known| Value::of(*known) == value)
    }

    fn add_own(&mut self, origin: Origin) {
        if !self.own.contains(&origin) {
            self.own.push(origin);
        }
    }

    fn change(&mut self, address: Value, change: impl Fn(MemoryUse) -> MemoryUse) {
        if let Some(path) = address.path() {
            let region = change(self.get(path));
            self.set(path, region);
        }
    }
}

/// The values, and the memory that is tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MemoryState {
    values: ValueState,
    memory: TrackedMemory,
}

impl Lattice for MemoryState {
    fn join(&mut self, other: &Self) -> bool {
        let mut grows = self.values.join(&other.values);
        grows |= self.memory.is_all && !other.memory.is_all;
        self.memory.is_all &= other.memory.is_all;
        for file in &other.memory.own {
            if !self.memory.own.contains(file) && self.memory.own.len() < MOST_REGIONS {
                self.memory.own.push(*file);
                grows = true;
            }
        }
        for (path, there) in &other.memory.regions {
            let here = self.memory.get(*path);
            let both = MemoryUse {
                is_writable_and_executable: here.is_writable_and_executable
                    || there.is_writable_and_executable,
                was_executable: here.was_executable || there.was_executable,
                was_flushed: here.was_flushed || there.was_flushed,
                is_in_use: here.is_in_use || there.is_in_use,
            };
            grows |= self.memory.set(*path, both);
        }
        grows
    }
}

struct MemoryAnalysis<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    primitives: &'a Primitives,
    values: ValueAnalysis<'a, 'data>,
}

/// The file through which a process reads and writes its own memory (proc(5)).
const OWN_MEMORY: &[u8] = b"/proc/self/mem\0";

impl MemoryAnalysis<'_, '_, '_> {
    /// Executes one instruction.
    fn step(
        &self,
        at: Svma,
        operation: &Operation,
        effects: &[MemoryEffect],
        state: &mut MemoryState,
    ) {
        let image = self.subject.image;
        for effect in effects {
            self.apply(*effect, at, state);
        }
        match operation {
            Operation::Control(
                Control::CallRegister { register } | Control::JumpRegister { register },
            ) => Self::execute(state.values.get(*register), &mut state.memory),
            // A thread may execute what it is given.
            Operation::Control(Control::Call { to }) if self.starts_thread(*to) => {
                for number in 2..4 {
                    Self::publish(state.values.argument(number), false, &mut state.memory);
                }
            }
            Operation::Access(access) => {
                if let AccessKind::Store { from, .. } = access.kind {
                    let to = state.values.address(image, at, access);
                    let value = state.values.operand(from[0]);
                    // A pointer that other threads can load.
                    if access.is_ordered || matches!(to, Value::Number(_)) {
                        Self::publish(value, access.is_ordered, &mut state.memory);
                    }
                }
            }
            _ => {}
        }
        state.values.execute(image, at, operation);
    }

    fn starts_thread(&self, to: Svma) -> bool {
        let callee = self.subject.program.function_at(to);
        callee.and_then(|callee| self.subject.program.import_name(callee)) == Some("pthread_create")
    }

    fn apply(&self, effect: MemoryEffect, at: Svma, state: &mut MemoryState) {
        match effect {
            // The call is executed again and returns other memory.
            MemoryEffect::Map { protection, .. } => {
                let path = Path::new(Origin::Result(at));
                state.memory.regions.retain(|(known, _)| *known != path);
                if let Some(protection) = protection.as_number() {
                    state.memory.set(path, protected(MemoryUse::default(), protection));
                }
            }
            MemoryEffect::Protect { memory, protection } => {
                if let Some(protection) = protection.as_number() {
                    state.memory.change(memory, |region| protected(region, protection));
                }
            }
            MemoryEffect::Flush { start, .. } => {
                state.memory.change(start, |region| MemoryUse { was_flushed: true, ..region });
            }
            MemoryEffect::OwnProcess => state.memory.add_own(Origin::Result(at)),
            MemoryEffect::Open { name } => {
                let name = name.as_number().map(Svma);
                let is_own = name.is_some_and(|name| self.subject.starts_with(name, OWN_MEMORY));
                if is_own {
                    state.memory.add_own(Origin::Result(at));
                }
            }
            _ => {}
        }
    }

    /// The memory is branched to.
    fn execute(value: Value, memory: &mut TrackedMemory) {
        memory.change(value, |region| MemoryUse {
            is_in_use: region.is_in_use || region.was_executable,
            ..region
        });
    }

    /// The pointer to the memory is published, by a store-release or in another way.
    fn publish(value: Value, is_released: bool, memory: &mut TrackedMemory) {
        memory.change(value, |region| {
            let is_complete = region.was_flushed || is_released && region.was_executable;
            MemoryUse { is_in_use: region.is_in_use || is_complete, ..region }
        });
    }
}

fn protected(region: MemoryUse, protection: u64) -> MemoryUse {
    let is_executable = protection & PROT_EXEC != 0;
    MemoryUse {
        is_writable_and_executable: is_executable && protection & PROT_WRITE != 0,
        was_executable: region.was_executable || is_executable,
        ..region
    }
}

impl Analysis for MemoryAnalysis<'_, '_, '_> {
    type State = MemoryState;

    fn entry(&self) -> MemoryState {
        let memory = TrackedMemory { regions: Vec::new(), own: Vec::new(), is_all: true };
        MemoryState { values: self.values.entry(), memory }
    }

    fn transfer(&self, block: &Block, state: &mut MemoryState) {
        for (at, operation) in self.values.body.instructions(block) {
            let effects = self.primitives.of_operation(self.subject, &operation, &state.values);
            self.step(at, &operation, &effects, state);
        }
    }

    fn follow(&self, block: &Block, next: Successor, state: &mut MemoryState) -> bool {
        self.values.follow(block, next, &mut state.values)
    }
}
