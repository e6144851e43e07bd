//! Stores of a kernel or module to the address of a function: existing code is changed without a
//! primitive.
//!
//! The address is a constant of the storing function. In a module, an undefined symbol is a
//! function if the module calls it or has a primitive patch it, or if the kernel exports a
//! function of its name.

use super::model::FunctionRole;
use super::subject::Subject;
use crate::addr::Svma;
use crate::image::ImageKind;
use crate::program::{ConstantMachine, FuncId, RecoveredProgram};
use crate::semantics::{Control, INSN_BYTES, Machine as _, Operation, Register, effective_address};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Functions of the kernel that write to the memory that their first argument points to.
const COPIES: [&str; 7] = [
    "memcpy",
    "__memcpy",
    "memmove",
    "memset",
    "copy_to_kernel_nofault",
    "probe_kernel_write",
    "probe_user_write",
];

/// A store to code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodeStore {
    /// The function that stores.
    pub(super) function: FuncId,
    /// The store, or the call that copies.
    pub(super) at: Svma,
    /// The function whose code changes.
    pub(super) target: FuncId,
}

/// The stores of a kernel or module to code, by function and address.
pub(super) fn code_stores(subject: &Subject<'_, '_>) -> Vec<CodeStore> {
    if !subject.is_kernel {
        return Vec::new();
    }
    let known = known_functions(subject);
    let mut found = Vec::new();
    for function in candidates(subject) {
        for (at, address) in constant_stores(subject, function) {
            let target = subject.program.function_at(Svma(address));
            found.extend(
                target
                    .filter(|target| is_code(subject, &known, *target, Svma(address)))
                    .map(|target| CodeStore { function, at, target }),
            );
        }
    }
    found
}

/// The functions that may store to code: in a module all; in a kernel those that make an address
/// of code and, read in the order of their addresses, store or copy to such an address.
fn candidates(subject: &Subject<'_, '_>) -> Vec<FuncId> {
    let program = &subject.program;
    if subject.image.kind() == ImageKind::Rel {
        return program.ids().filter(|id| program.import_name(*id).is_none()).collect();
    }
    let makers = program.code_addresses().filter_map(|(at, _)| program.function_at(at));
    let makers: BTreeSet<FuncId> = makers.collect();
    let copies: BTreeSet<FuncId> =
        program.ids().filter(|id| COPIES.contains(&&*subject.name(*id))).collect();
    let makers: Vec<FuncId> = makers.into_iter().collect();
    makers.into_par_iter().filter(|id| may_store(program, &copies, *id)).collect()
}

/// Whether a function stores or copies to an address of code, if its instructions are executed in
/// the order of their addresses.
fn may_store(program: &RecoveredProgram<'_>, copies: &BTreeSet<FuncId>, id: FuncId) -> bool {
    let memory = |_| None;
    let mut machine = ConstantMachine::new(&memory);
    let range = program.function(id).range;
    let is_code = |at: Option<u64>| at.is_some_and(|at| program.function_at(Svma(at)).is_some());
    (0..range.size() / INSN_BYTES).any(|index| {
        let at = range.start().wrapping_add(index * INSN_BYTES);
        let Some(operation) = program.operation(at) else { return false };
        let is_store = match &operation {
            Operation::Access(access) if access.is_store() => {
                is_code(effective_address(&mut machine, access))
            }
            Operation::Control(Control::Call { to } | Control::Jump { to }) => {
                let copies =
                    program.starting_at(*to).is_some_and(|callee| copies.contains(&callee));
                copies && Register::new(0).is_some_and(|first| is_code(machine.get(first)))
            }
            _ => false,
        };
        machine.step(&operation);
        is_store
    })
}

/// The undefined symbols of a module that are functions.
fn known_functions(subject: &Subject<'_, '_>) -> BTreeSet<FuncId> {
    let program = &subject.program;
    let patched = program.ids().filter(|id| {
        matches!(subject.role(*id), Some(FunctionRole::Patches | FunctionRole::Writes))
    });
    let patches = patched.flat_map(|id| program.callers(id));
    let mut known: BTreeSet<FuncId> =
        patches.filter_map(|call| subject.function_argument(call.caller, call.at, 0)).collect();
    let is_called = |id: &FuncId| program.callers(*id).next().is_some();
    let imports = program.imports().iter();
    let of_kernel = imports.filter(|(id, name)| is_called(id) || subject.is_of_kernel(name));
    known.extend(of_kernel.map(|(id, _)| *id));
    known
}

fn is_code(
    subject: &Subject<'_, '_>,
    known: &BTreeSet<FuncId>,
    target: FuncId,
    address: Svma,
) -> bool {
    match subject.program.import_name(target) {
        Some(_) => known.contains(&target),
        // Data between functions has no function symbol.
        None => subject.image.symbols().function_at(address).is_some(),
    }
}

/// The stores and copies of a function to constant addresses.
fn constant_stores(subject: &Subject<'_, '_>, id: FuncId) -> BTreeMap<Svma, u64> {
    let mut found = BTreeMap::new();
    subject.for_each_instruction(id, |state, at, operation| {
        let to = match operation {
            Operation::Control(Control::Call { to } | Control::Jump { to })
                if is_copy(subject, *to) =>
            {
                state.argument(0).as_number()
            }
            Operation::Access(access) if access.is_store() => {
                state.address(subject.image, at, access).as_number()
            }
            _ => None,
        };
        found.extend(to.map(|to| (at, to)));
    });
    found
}

fn is_copy(subject: &Subject<'_, '_>, to: Svma) -> bool {
    let callee = subject.program.starting_at(to);
    callee.is_some_and(|callee| COPIES.contains(&&*subject.name(callee)))
}
