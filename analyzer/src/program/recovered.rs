//! A recovered program: its functions, the calls between them, and the other results of recovery.

use super::function::{FuncId, Function, FunctionMap};
use super::scan::{self, Event, Taken};
use crate::addr::{AddrRange, Svma};
use crate::arch::InsnValue;
use crate::semantics::{Control, INSN_BYTES, Operation, a64};
use std::borrow::Cow;
use std::ops::Range;

/// The kind of a call. The weakest call of a path decides what the path proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallKind {
    /// BL.
    Call,
    /// A branch to another function: a tail call.
    Tail,
}

/// A direct call from one function to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSite {
    /// The calling function.
    pub caller: FuncId,
    /// The called function.
    pub callee: FuncId,
    /// Address of the instruction.
    pub at: Svma,
    /// Kind of the instruction.
    pub kind: CallKind,
}

/// The targets of a BR, from its table or from a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchTable {
    /// Address of the BR.
    pub at: Svma,
    /// The targets, sorted and without repeats: addresses in the function, or starts of other
    /// functions.
    pub targets: Vec<Svma>,
    /// The entries of the table; `None` for a constant.
    pub entries: Option<AddrRange>,
    /// Whether the number of entries is unknown, so that entries were read as long as they lead
    /// into the function.
    pub is_guess: bool,
}

/// The table of the BR at `at`. `tables` are sorted by address.
pub(super) fn tables_in(tables: &[BranchTable], at: Svma) -> Option<&BranchTable> {
    let index = tables.binary_search_by_key(&at, |table| table.at).ok()?;
    tables.get(index)
}

/// All functions of an image and the calls between them.
#[derive(Debug, Default)]
pub struct RecoveredProgram<'data> {
    pub(super) functions: Vec<Function>,
    pub(super) map: FunctionMap,
    pub(super) events: Vec<Event>,
    pub(super) code: Vec<(AddrRange, Cow<'data, [u8]>)>,
    /// Sorted by caller and address.
    pub(super) calls: Vec<CallSite>,
    /// Indexes into `calls`, sorted by callee.
    pub(super) by_callee: Vec<u32>,
    /// Index into `by_callee` of the first call to each function.
    pub(super) callee_starts: Vec<u32>,
    pub(super) noreturn: Vec<bool>,
    pub(super) taken: Vec<Taken>,
    /// Whether the address of each function is in data.
    pub(super) in_data: Vec<bool>,
    pub(super) instructions: usize,
    pub(super) undecoded: usize,
    pub(super) unresolved_calls: usize,
    /// Targets of BRs, sorted by the address of the BR.
    pub(super) branch_tables: Vec<BranchTable>,
    /// Number of functions whose BRs were not analysed to the end.
    pub(super) incomplete_jumps: usize,
    /// The import that each stub jumps to, sorted by the id of the stub.
    pub(super) imports: Vec<(FuncId, String)>,
    /// Stubs that lead to code of the same file, with where they lead, by address. Branches to a
    /// stub are replaced by branches to where it leads.
    pub(super) forwards: Vec<(Svma, Svma)>,
    /// In a relocatable file, the instructions whose value their bits cannot hold, by address.
    pub(super) beyond: Vec<(Svma, InsnValue)>,
}

impl RecoveredProgram<'_> {
    /// Whether `event` is a call of a function that never returns.
    pub(crate) fn never_returns(&self, event: &Event) -> bool {
        match event.control {
            Control::Call { to } => self.map.at(to).is_some_and(|to| self.noreturn[to.index()]),
            _ => false,
        }
    }

    /// Whether a function never returns to its caller.
    #[must_use]
    pub fn is_noreturn(&self, id: FuncId) -> bool {
        self.noreturn[id.index()]
    }

    /// Ids of all functions, by address.
    pub fn ids(&self) -> impl Iterator<Item = FuncId> + use<> {
        (0..u32::try_from(self.functions.len()).unwrap_or(u32::MAX)).map(FuncId)
    }

    /// All functions, by address.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The function with an id of this program.
    #[must_use]
    pub fn function(&self, id: FuncId) -> &Function {
        &self.functions[id.index()]
    }

    /// The function that contains `at`.
    #[must_use]
    pub fn function_at(&self, at: Svma) -> Option<FuncId> {
        self.map.at(at)
    }

    /// The function that begins at `at`.
    #[must_use]
    pub fn starting_at(&self, at: Svma) -> Option<FuncId> {
        self.map.at(at).filter(|id| self.function(*id).range.start() == at)
    }

    /// All events, by address.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events of a function, by address.
    #[must_use]
    pub fn events_of(&self, id: FuncId) -> &[Event] {
        &self.events[self.function(id).events.clone()]
    }

    /// Indexes of the events from `start` up to, not including, `end`.
    pub(crate) fn events_between(&self, start: Svma, end: Svma) -> Range<usize> {
        let first = self.events.partition_point(|event| event.at < start);
        let count = self.events[first..].partition_point(|event| event.at < end);
        first..first + count
    }

    /// Direct calls to a function.
    pub fn callers(&self, id: FuncId) -> impl Iterator<Item = CallSite> {
        let (first, last) =
            (self.callee_starts[id.index()] as usize, self.callee_starts[id.index() + 1] as usize);
        self.by_callee[first..last].iter().map(|index| self.calls[*index as usize])
    }

    /// All direct calls, by caller and address.
    #[must_use]
    pub fn calls(&self) -> &[CallSite] {
        &self.calls
    }

    /// Direct calls from a function, by address.
    #[must_use]
    pub fn calls_of(&self, id: FuncId) -> &[CallSite] {
        let first = self.calls.partition_point(|call| call.caller < id);
        let count = self.calls[first..].partition_point(|call| call.caller == id);
        &self.calls[first..first + count]
    }

    /// Targets of BRs from tables and constants, sorted by the address of the BR.
    #[must_use]
    pub fn branch_tables(&self) -> &[BranchTable] {
        &self.branch_tables
    }

    /// The targets of the BR at `at`, if a table or a constant determines them.
    #[must_use]
    pub fn branch_table(&self, at: Svma) -> Option<&BranchTable> {
        tables_in(&self.branch_tables, at)
    }

    /// Number of functions whose BRs were not analysed to the end: they need more work than a
    /// function of their size may take.
    #[must_use]
    pub const fn incomplete_jumps(&self) -> usize {
        self.incomplete_jumps
    }

    /// Addresses of the BRs, without those of import stubs.
    pub fn jumps(&self) -> impl Iterator<Item = Svma> {
        let is_jump = |event: &&Event| matches!(event.control, Control::JumpRegister { .. });
        let is_stub =
            |at: Svma| self.function_at(at).is_some_and(|id| self.import_name(id).is_some());
        self.events.iter().filter(is_jump).map(|event| event.at).filter(move |at| !is_stub(*at))
    }

    /// Instructions that make an address in code, with that address.
    pub fn code_addresses(&self) -> impl Iterator<Item = (Svma, Svma)> {
        self.taken.iter().map(|taken| (taken.at, taken.to))
    }

    /// Instructions that make the start address of a function, with that function.
    pub fn taken_in_code(&self) -> impl Iterator<Item = (Svma, FuncId)> {
        self.taken.iter().filter_map(|taken| Some((taken.at, self.starting_at(taken.to)?)))
    }

    /// Whether data holds the address of a function.
    #[must_use]
    pub fn is_in_data(&self, id: FuncId) -> bool {
        self.in_data[id.index()]
    }

    /// The import that a function jumps to, if the function is an import stub.
    #[must_use]
    pub fn import_name(&self, id: FuncId) -> Option<&str> {
        let at = self.imports.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.imports.get(at).map(|(_, name)| name.as_str())
    }

    /// The import stubs, each with the name of its import.
    #[must_use]
    pub fn imports(&self) -> &[(FuncId, String)] {
        &self.imports
    }

    /// What the instruction at `at` does, relocated; a branch to a stub of the linker has the target to which
    /// the stub leads. The instruction may have a value that [`Self::word`] cannot hold.
    #[must_use]
    pub fn operation(&self, at: Svma) -> Option<Operation> {
        let operation = scan::resolved(a64(self.word(at)?, at), at, &self.beyond);
        Some(match operation {
            Operation::Control(control) => {
                Operation::Control(scan::forwarded(control, &self.forwards))
            }
            other => other,
        })
    }

    /// The instructions from `start` up to, not including, `end`.
    pub(crate) fn operations(
        &self,
        start: Svma,
        end: Svma,
    ) -> impl Iterator<Item = (Svma, Operation)> {
        let count = end.0.saturating_sub(start.0) / INSN_BYTES;
        let addresses = (0..count).map(move |index| start.wrapping_add(index * INSN_BYTES));
        addresses.map_while(|at| Some((at, self.operation(at)?)))
    }

    /// The instruction word at `at`, relocated as far as its bits can hold the value.
    #[must_use]
    pub fn word(&self, at: Svma) -> Option<u32> {
        let after = self.code.partition_point(|(range, _)| range.start() <= at);
        let (range, bytes) = self.code.get(after.checked_sub(1)?)?;
        let skip = usize::try_from(at.0 - range.start().0).ok()?;
        Some(u32::from_le_bytes(*bytes.get(skip..)?.first_chunk()?))
    }

    /// Number of instructions in all code.
    #[must_use]
    pub const fn instructions(&self) -> usize {
        self.instructions
    }

    /// Number of code words that the decoder does not know.
    #[must_use]
    pub const fn undecoded(&self) -> usize {
        self.undecoded
    }

    /// Number of calls through registers.
    #[must_use]
    pub const fn unresolved_calls(&self) -> usize {
        self.unresolved_calls
    }
}
