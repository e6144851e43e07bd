//! Calls that change memory, its protection, its caches or the other CPUs, with the values of
//! their operands.
//!
//! Functions of the C library are known by name, and system calls by number. A function that only
//! passes its parameters on is transparent: its summary is the list of its effects, in terms of
//! its parameters, and a call of it has these effects with the values of the caller.

use super::address_filter::AddressFilter;
use super::model::FunctionRole;
use super::subject::Subject;
use crate::addr::Svma;
use crate::image::ImportSlot;
use crate::program::{Event, FuncId, variables};
use crate::semantics::{AccessKind, CacheOp, Control, INSN_BYTES, Operation};
use crate::values::{Distance, Origin, Value, ValueState};
use foldhash::HashMap;
use std::cell::RefCell;

/// One effect of a call or of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemoryEffect {
    /// Maps new memory, the result of the call.
    Map { protection: Value, flags: Value, file: Value },
    /// Sets the protection of memory.
    Protect { memory: Value, protection: Value },
    /// Maintains the caches for the memory from `start`. `end` is the end, or the size.
    Flush { start: Value, end: Value },
    /// Writes to memory.
    Copy { to: Value, bytes: Value },
    /// Opens the file with the name at this address.
    Open { name: Value },
    /// Writes to a file, from this offset.
    WriteFile { file: Value, offset: Value },
    /// Writes to the memory of the process with this number.
    WriteProcess { process: Value },
    /// Returns the number of the process itself.
    OwnProcess,
    /// membarrier(2).
    Membarrier { command: Value },
}

/// Numbers of system calls on arm64 (`include/uapi/asm-generic/unistd.h`, Linux 6.12).
mod number {
    pub(super) const PWRITE64: u64 = 68;
    pub(super) const GETPID: u64 = 172;
    pub(super) const MMAP: u64 = 222;
    pub(super) const MPROTECT: u64 = 226;
    pub(super) const PROCESS_VM_WRITEV: u64 = 271;
    pub(super) const MEMBARRIER: u64 = 283;
    pub(super) const PKEY_MPROTECT: u64 = 288;
}

/// The effect of the system call `number` with these arguments.
fn system_call(number: Value, arguments: [Value; 6]) -> Option<MemoryEffect> {
    let [first, _, third, fourth, fifth, _] = arguments;
    Some(match number.as_number()? & 0xffff_ffff {
        number::MEMBARRIER => MemoryEffect::Membarrier { command: first },
        number::MPROTECT | number::PKEY_MPROTECT => {
            MemoryEffect::Protect { memory: first, protection: third }
        }
        number::MMAP => MemoryEffect::Map { protection: third, flags: fourth, file: fifth },
        number::PWRITE64 => MemoryEffect::WriteFile { file: first, offset: fourth },
        number::PROCESS_VM_WRITEV => MemoryEffect::WriteProcess { process: first },
        number::GETPID => MemoryEffect::OwnProcess,
        _ => return None,
    })
}

/// A function of the C library that has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LibraryFunction {
    Map,
    Protect,
    Copy,
    Open,
    OpenAt,
    Write,
    WriteAt,
    WriteProcess,
    OwnProcess,
    SystemCall,
}

impl LibraryFunction {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "mmap" | "mmap64" => Self::Map,
            "mprotect" | "pkey_mprotect" => Self::Protect,
            "memcpy" | "memmove" | "memset" | "__memcpy_chk" | "__memmove_chk" | "__memset_chk" => {
                Self::Copy
            }
            "open" | "open64" | "fopen" | "fopen64" | "__open_2" | "__open64_2" => Self::Open,
            "openat" | "openat64" => Self::OpenAt,
            "write" => Self::Write,
            "pwrite" | "pwrite64" => Self::WriteAt,
            "process_vm_writev" => Self::WriteProcess,
            "getpid" => Self::OwnProcess,
            "syscall" => Self::SystemCall,
            _ => return None,
        })
    }

    /// Whether a call alone is no reason to analyse the caller: many functions call it, and its
    /// effect matters only beside another one.
    const fn is_common(self) -> bool {
        matches!(self, Self::Copy | Self::Open | Self::OpenAt | Self::Write | Self::OwnProcess)
    }

    fn effect(self, state: &ValueState) -> Option<MemoryEffect> {
        let argument = |number| state.argument(number);
        Some(match self {
            Self::Map => {
                MemoryEffect::Map { protection: argument(2), flags: argument(3), file: argument(4) }
            }
            Self::Protect => MemoryEffect::Protect { memory: argument(0), protection: argument(2) },
            Self::Copy => MemoryEffect::Copy { to: argument(0), bytes: argument(2) },
            Self::Open => MemoryEffect::Open { name: argument(0) },
            Self::OpenAt => MemoryEffect::Open { name: argument(1) },
            Self::Write => MemoryEffect::WriteFile { file: argument(0), offset: Value::Unknown },
            Self::WriteAt => MemoryEffect::WriteFile { file: argument(0), offset: argument(3) },
            Self::WriteProcess => MemoryEffect::WriteProcess { process: argument(0) },
            Self::OwnProcess => MemoryEffect::OwnProcess,
            Self::SystemCall => {
                return system_call(argument(0), std::array::from_fn(|at| argument(at + 1)));
            }
        })
    }
}

/// Instructions of the longest function that may be transparent.
const LONGEST: u64 = 256;
/// Levels of transparent functions.
const LAYERS: usize = 4;
/// Effects of one transparent function.
const MOST_EFFECTS: usize = 8;

/// The effects of the functions of a program.
#[derive(Default)]
pub(super) struct Primitives {
    imports: HashMap<FuncId, LibraryFunction>,
    transparent: HashMap<FuncId, Vec<MemoryEffect>>,
    /// Pointers in data that lead to functions with effects, by address.
    slots: HashMap<u64, Pointee>,
    /// What short functions change, by function; computed on demand.
    modified: RefCell<HashMap<FuncId, Option<Value>>>,
}

/// What a pointer in data leads to.
#[derive(Debug)]
enum Pointee {
    Function(FuncId),
    /// A function of another file.
    Import(LibraryFunction),
}

impl Primitives {
    /// Finds the functions that have effects.
    pub(super) fn find(subject: &Subject<'_, '_>) -> Self {
        let mut all = Self::default();
        for id in subject.program.ids() {
            let name = subject.program.import_name(id);
            let own = || (subject.name(id) == "syscall").then_some("syscall");
            if let Some(function) = name.or_else(own).and_then(LibraryFunction::named) {
                all.imports.insert(id, function);
            }
        }
        let is_seed = |id: &FuncId| {
            all.imports.get(id).is_some_and(|function| !function.is_common())
                || subject.role(*id) == Some(FunctionRole::Maintains)
        };
        let mut layer: Vec<FuncId> = subject.program.ids().filter(is_seed).collect();
        let mut seen: foldhash::HashSet<FuncId> = foldhash::HashSet::default();
        layer.extend(with_system_calls(subject));
        for step in 0..LAYERS {
            let mut callers: Vec<FuncId> = layer
                .iter()
                .flat_map(|id| subject.program.callers(*id))
                .map(|c| c.caller)
                .collect();
            if step == 0 {
                callers.extend(&layer);
            }
            callers.sort_unstable();
            callers.dedup();
            layer.clear();
            for id in callers.into_iter().filter(|id| seen.insert(*id)) {
                let effects = summary(subject, &all, id);
                if !effects.is_empty() {
                    all.transparent.insert(id, effects);
                    layer.push(id);
                }
            }
        }
        all.find_slots(subject);
        all
    }

    /// Whether a call of `id` may have an effect.
    fn has(&self, subject: &Subject<'_, '_>, id: FuncId) -> bool {
        self.imports.contains_key(&id)
            || self.transparent.contains_key(&id)
            || subject.role(id) == Some(FunctionRole::Maintains)
    }

    /// Whether a function is transparent: its caller is responsible for its effects.
    pub(super) fn is_transparent(&self, id: FuncId) -> bool {
        self.transparent.contains_key(&id)
    }

    /// Whether a function is transparent and maintains caches.
    pub(super) fn flushes(&self, id: FuncId) -> bool {
        let effects = self.transparent.get(&id).map(Vec::as_slice).unwrap_or_default();
        effects.iter().any(|effect| matches!(effect, MemoryEffect::Flush { .. }))
    }

    /// The functions whose calls have effects other than copies.
    pub(super) fn callees(&self) -> impl Iterator<Item = FuncId> {
        let imports = self.imports.iter().filter(|(_, function)| !function.is_common());
        imports.map(|(id, _)| *id).chain(self.transparent.keys().copied())
    }

    /// The effects of a call of `callee` in `state`.
    pub(super) fn of_call(
        &self,
        subject: &Subject<'_, '_>,
        callee: FuncId,
        state: &ValueState,
    ) -> Vec<MemoryEffect> {
        if let Some(effects) = self.transparent.get(&callee) {
            return effects.iter().map(|effect| effect.substituted(state)).collect();
        }
        if let Some(function) = self.imports.get(&callee) {
            return function.effect(state).into_iter().collect();
        }
        if subject.role(callee) == Some(FunctionRole::Maintains) {
            return vec![MemoryEffect::Flush { start: state.argument(0), end: state.argument(1) }];
        }
        Vec::new()
    }

    /// The address of an instruction that a call of a short function changes.
    pub(super) fn modified_by(
        &self,
        subject: &Subject<'_, '_>,
        operation: &Operation,
        state: &ValueState,
    ) -> Option<Value> {
        let Operation::Control(Control::Call { to } | Control::Jump { to }) = operation else {
            return None;
        };
        let callee = subject.program.starting_at(*to)?;
        let known = self.modified.borrow().get(&callee).copied();
        let found = known.unwrap_or_else(|| {
            let found = modified(subject, callee);
            self.modified.borrow_mut().insert(callee, found);
            found
        });
        Some(substituted(found?, state)).filter(|to| *to != Value::Unknown)
    }

    /// The effects of a call through a pointer that is in data: the data are taken to hold what
    /// the file initialises them with.
    fn of_pointer(
        &self,
        subject: &Subject<'_, '_>,
        target: Value,
        state: &ValueState,
    ) -> Vec<MemoryEffect> {
        let slot = match target {
            Value::Number(at) => {
                let callee = subject.program.starting_at(Svma(at));
                return callee
                    .map(|callee| self.of_call(subject, callee, state))
                    .unwrap_or_default();
            }
            Value::At(path, Distance::Exactly(0)) if path.loads().is_empty() => match path.origin()
            {
                Origin::Word(slot) => slot,
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        match self.slots.get(&slot) {
            Some(Pointee::Function(callee)) => self.of_call(subject, *callee, state),
            Some(Pointee::Import(function)) => function.effect(state).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The functions that may call through a pointer in data that leads to a function with
    /// effects.
    pub(super) fn callers_by_pointer(&self, subject: &Subject<'_, '_>) -> Vec<FuncId> {
        if self.slots.is_empty() {
            return Vec::new();
        }
        let slots = self.slots.keys().copied().collect();
        let filter = AddressFilter::of(subject.image, &slots);
        let is_indirect = |event: &Event| {
            matches!(event.control, Control::CallRegister { .. } | Control::JumpRegister { .. })
        };
        let program = &subject.program;
        program
            .ids()
            .filter(|id| program.events_of(*id).iter().any(is_indirect))
            .filter(|id| filter.can_be_in(program, subject.image, *id))
            .collect()
    }

    /// Finds the pointers in data that lead to functions with effects.
    fn find_slots(&mut self, subject: &Subject<'_, '_>) {
        let image = subject.image;
        let is_variable = |slot: Svma| {
            let section = image.section_at(slot).map(|section| image.section(section));
            section.is_some_and(|section| section.flags.write && section.name.starts_with(".data"))
        };
        for import in image.imports() {
            let ImportSlot { slot, name, definition } = import;
            if !is_variable(*slot) {
                continue;
            }
            let library = LibraryFunction::named(name).filter(|function| !function.is_common());
            let own = definition.and_then(|at| subject.program.starting_at(at));
            if let Some(function) = own.filter(|function| self.has(subject, *function)) {
                self.slots.insert(slot.0, Pointee::Function(function));
            } else if let Some(function) = library {
                self.slots.insert(slot.0, Pointee::Import(function));
            }
        }
        for (slot, word) in variables(image) {
            if let Some(function) = subject.program.starting_at(Svma(word))
                && self.has(subject, function)
            {
                self.slots.entry(slot.0).or_insert(Pointee::Function(function));
            }
        }
    }

    /// The effects of one instruction: a call, a system call, or cache maintenance.
    pub(super) fn of_operation(
        &self,
        subject: &Subject<'_, '_>,
        operation: &Operation,
        state: &ValueState,
    ) -> Vec<MemoryEffect> {
        match operation {
            Operation::Control(Control::Call { to }) => {
                let callee = subject.program.function_at(*to);
                callee.map(|callee| self.of_call(subject, callee, state)).unwrap_or_default()
            }
            // A tail call.
            Operation::Control(Control::Jump { to } | Control::Branch { to, .. }) => {
                let callee = subject.program.starting_at(*to);
                callee.map(|callee| self.of_call(subject, callee, state)).unwrap_or_default()
            }
            Operation::Control(
                Control::CallRegister { register } | Control::JumpRegister { register },
            ) => self.of_pointer(subject, state.get(*register), state),
            Operation::Control(Control::SupervisorCall) => {
                let arguments = std::array::from_fn(|at| state.argument(at));
                system_call(state.argument(8), arguments).into_iter().collect()
            }
            Operation::Control(Control::Cache(CacheOp::InvalidateInsn, Some(register))) => {
                let start = state.get(*register);
                vec![MemoryEffect::Flush { start, end: Value::Number(INSN_BYTES) }]
            }
            _ => Vec::new(),
        }
    }
}

/// Whether a value that is stored at `to` was loaded from there and changed.
pub(super) fn is_modification(to: Value, value: Value) -> bool {
    let (Value::At(to, distance), Value::At(value, Distance::Somewhere)) = (to, value) else {
        return false;
    };
    let Some((container, offset)) = value.container() else { return false };
    let is_same = match (distance, offset) {
        (Distance::Exactly(at), Some(offset)) => at == offset,
        (_, None) => true,
        _ => false,
    };
    is_same && container == to
}

/// Instructions of the longest function that is searched for a change of an instruction.
const SHORT: u64 = 256;

/// The address, in terms of the parameters, of the word that a function loads, changes and stores
/// back.
fn modified(subject: &Subject<'_, '_>, id: FuncId) -> Option<Value> {
    let is_short = subject.program.function(id).range.size() <= SHORT * INSN_BYTES;
    if !is_short || subject.program.import_name(id).is_some() {
        return None;
    }
    let mut found = None;
    subject.for_each_instruction(id, |state, at, operation| {
        let Operation::Access(access) = operation else { return };
        if let (AccessKind::Store { from, .. }, 4, 1) = (access.kind, access.bytes, access.count) {
            let to = state.address(subject.image, at, access);
            let is_parameter = matches!(
                to,
                Value::At(path, _) if matches!(path.origin(), Origin::Entry(0..8))
            );
            if is_parameter && is_modification(to, state.operand(from[0])) {
                found = Some(to);
            }
        }
    });
    found
}

/// Functions with an SVC.
fn with_system_calls(subject: &Subject<'_, '_>) -> Vec<FuncId> {
    let program = &subject.program;
    let calls = program.events().iter();
    let calls = calls.filter(|event| super::subject::is_system_call(event));
    let mut found: Vec<FuncId> = calls.filter_map(|event| program.function_at(event.at)).collect();
    found.dedup();
    found
}

/// The effects of a function in terms of its parameters; none if it is not transparent.
fn summary(subject: &Subject<'_, '_>, known: &Primitives, id: FuncId) -> Vec<MemoryEffect> {
    let size = subject.program.function(id).range.size();
    let is_primitive = known.imports.contains_key(&id)
        || subject.role(id).is_some() && subject.role(id) != Some(FunctionRole::Maintains);
    if size > LONGEST * INSN_BYTES || is_primitive || subject.program.import_name(id).is_some() {
        return Vec::new();
    }
    let cfg = subject.cfg(id);
    let leads = cfg.leads_to_exit();
    // The store of a message before a trap changes nothing for the caller.
    let returns_from = |at: Svma| cfg.block_at(at).is_some_and(|block| leads[block]);
    let mut effects: Vec<MemoryEffect> = Vec::new();
    let mut is_transparent = true;
    subject.for_each_instruction(id, |state, at, operation| {
        let found = known.of_operation(subject, operation, state);
        for effect in found {
            is_transparent &= !effect.is_copy_beyond_stack();
            if !effects.contains(&effect) {
                effects.push(effect);
            }
        }
        is_transparent &= !(subject.may_store_to_code(state, at, operation) && returns_from(at));
    });
    // A loop over cache lines is one effect, for all of its memory.
    let flush = effects.iter().position(|effect| matches!(effect, MemoryEffect::Flush { .. }));
    if let Some(first) = flush {
        let mut at = 0;
        effects.retain(|effect| {
            at += 1;
            at - 1 == first || !matches!(effect, MemoryEffect::Flush { .. })
        });
    }
    let is_passed_on = effects.iter().any(MemoryEffect::depends_on_parameters);
    effects.retain(|effect| {
        !matches!(
            effect,
            MemoryEffect::Copy { .. } | MemoryEffect::Open { .. } | MemoryEffect::OwnProcess
        )
    });
    if is_transparent && is_passed_on && effects.len() <= MOST_EFFECTS {
        effects
    } else {
        Vec::new()
    }
}

impl MemoryEffect {
    /// Whether it writes to memory other than the stack of the function.
    fn is_copy_beyond_stack(&self) -> bool {
        matches!(self, Self::Copy { to, .. } if !to.is_on_stack())
    }

    /// Whether an operand that matters is a parameter.
    fn depends_on_parameters(&self) -> bool {
        let is_parameter = |value: Value| {
            matches!(
                value,
                Value::At(path, _) if matches!(path.origin(), Origin::Entry(0..8)) && path.loads().is_empty()
            )
        };
        match *self {
            Self::Protect { memory, protection } => {
                is_parameter(memory) || is_parameter(protection)
            }
            Self::Flush { start, .. } => is_parameter(start),
            Self::Copy { to, .. } => is_parameter(to),
            Self::WriteFile { file, .. } => is_parameter(file),
            Self::Membarrier { command } => is_parameter(command),
            Self::Map { protection, .. } => is_parameter(protection),
            Self::WriteProcess { process } => is_parameter(process),
            Self::Open { .. } | Self::OwnProcess => false,
        }
    }

    /// The effect with the values of the caller in place of the parameters.
    fn substituted(self, state: &ValueState) -> Self {
        let of = |value: Value| substituted(value, state);
        match self {
            Self::Map { protection, flags, file } => {
                Self::Map { protection: of(protection), flags: of(flags), file: of(file) }
            }
            Self::Protect { memory, protection } => {
                Self::Protect { memory: of(memory), protection: of(protection) }
            }
            // An end that is not known is computed from the second parameter.
            Self::Flush { start, end } => {
                let end = match of(end) {
                    Value::Unknown | Value::At(_, Distance::Somewhere | Distance::Indexed(..)) => {
                        state.argument(1)
                    }
                    end => end,
                };
                Self::Flush { start: of(start), end }
            }
            Self::Copy { to, bytes } => Self::Copy { to: of(to), bytes: of(bytes) },
            Self::Open { name } => Self::Open { name: of(name) },
            Self::WriteFile { file, offset } => {
                Self::WriteFile { file: of(file), offset: of(offset) }
            }
            Self::WriteProcess { process } => Self::WriteProcess { process: of(process) },
            Self::OwnProcess => Self::OwnProcess,
            Self::Membarrier { command } => Self::Membarrier { command: of(command) },
        }
    }
}

/// A value of a callee with the caller's values in place of the parameters.
fn substituted(value: Value, state: &ValueState) -> Value {
    let Value::At(path, distance) = value else {
        return if value.is_number() { value } else { Value::Unknown };
    };
    let Origin::Entry(number) = path.origin() else { return Value::Unknown };
    let mut found = state.argument(usize::from(number));
    for offset in path.loads() {
        found = match found.plus(i64::from(*offset)) {
            Value::Number(at) => Value::of(Origin::Word(at)),
            Value::At(path, Distance::Exactly(offset)) => path
                .loaded(i64::from(offset))
                .map_or(Value::Unknown, |path| Value::At(path, Distance::Exactly(0))),
            _ => return Value::Unknown,
        };
    }
    match (distance, found) {
        (Distance::Exactly(offset), found) => found.plus(i64::from(offset)),
        (Distance::Aligned, Value::Number(number)) => Value::Number(number & !0xfff),
        (Distance::Aligned, Value::At(path, _)) => Value::At(path, Distance::Aligned),
        (Distance::Somewhere | Distance::Indexed(..), found) => found.moved(),
        _ => Value::Unknown,
    }
}

/// The size of the memory that is maintained, in bytes, if it is known: `end` is the end of the
/// range, or its size.
pub(super) fn flushed_bytes(start: Value, end: Value) -> Option<u64> {
    match (start, end) {
        (Value::Number(start), Value::Number(end)) if end >= start => Some(end - start),
        (_, Value::Number(size)) => Some(size),
        _ => start.bytes_to(end),
    }
}
