//! Functions of a program, the calls between them, and what was recovered with them.

use super::function::{FuncId, Function, FunctionMap};
use super::insn::{Insn, decode};
use super::scan::{self, Event, Taken};
use crate::addr::{AddrRange, Svma};
use std::borrow::Cow;
use std::ops::Range;

/// How a call is known; the weakest of a path decides what it proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallKind {
    /// BL.
    Call,
    /// A branch to another function.
    Tail,
}

/// A direct call from one function to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSite {
    /// The function that calls.
    pub caller: FuncId,
    /// The function called.
    pub callee: FuncId,
    /// The instruction.
    pub at: Svma,
    /// What the instruction is.
    pub kind: CallKind,
}

/// Where a BR goes, by the table that it uses or by a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchTable {
    /// The BR.
    pub at: Svma,
    /// Where it may go, by address, without repeats: into its function, or to where
    /// another one begins.
    pub targets: Vec<Svma>,
    /// The table's entries, one behind the other; `None` for a constant.
    pub entries: Option<AddrRange>,
    /// Whether nothing says how many entries there are, so that they were read as long as
    /// they lead into the function.
    pub is_guess: bool,
}

/// That of the BR at `at` among `tables`, which are by address.
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
    /// By caller and address.
    pub(super) calls: Vec<CallSite>,
    /// Indexes into `calls`, by callee.
    pub(super) by_callee: Vec<u32>,
    /// Where each function's part of `by_callee` begins.
    pub(super) callee_starts: Vec<u32>,
    pub(super) noreturn: Vec<bool>,
    pub(super) taken: Vec<Taken>,
    /// Functions whose address stands in data.
    pub(super) in_data: Vec<bool>,
    pub(super) instructions: usize,
    pub(super) undecoded: usize,
    pub(super) unresolved_calls: usize,
    /// Where BRs go, by address.
    pub(super) branch_tables: Vec<BranchTable>,
    /// Names of the functions that only go on to an import, by id.
    pub(super) imports: Vec<(FuncId, String)>,
    /// What relocations of code refer to, in a relocatable file.
    pub(super) relocated: Vec<(Svma, Svma)>,
}

impl RecoveredProgram<'_> {
    /// Whether `event` is a call that does not come back.
    pub(crate) fn never_returns(&self, event: &Event) -> bool {
        match event.insn {
            Insn::Call { to } => self.map.at(to).is_some_and(|to| self.noreturn[to.index()]),
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

    /// The function of an id that this program gave out.
    #[must_use]
    pub fn function(&self, id: FuncId) -> &Function {
        &self.functions[id.index()]
    }

    /// The function that `at` lies in.
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

    /// Indexes of the events from `start` to before `end`.
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

    /// Where BRs go by tables and constants, by address of the BR.
    #[must_use]
    pub fn branch_tables(&self) -> &[BranchTable] {
        &self.branch_tables
    }

    /// Where the BR at `at` goes, if a table or a constant says it.
    #[must_use]
    pub fn branch_table(&self, at: Svma) -> Option<&BranchTable> {
        tables_in(&self.branch_tables, at)
    }

    /// BRs other than those of stubs of imports.
    pub fn jumps(&self) -> impl Iterator<Item = Svma> {
        let is_jump = |event: &&Event| matches!(event.insn, Insn::JumpRegister { .. });
        let is_stub =
            |at: Svma| self.function_at(at).is_some_and(|id| self.import_name(id).is_some());
        self.events.iter().filter(is_jump).map(|event| event.at).filter(move |at| !is_stub(*at))
    }

    /// Places in code that make the address of the start of a function.
    pub fn taken_in_code(&self) -> impl Iterator<Item = (Svma, FuncId)> {
        self.taken.iter().filter_map(|taken| Some((taken.at, self.starting_at(taken.to)?)))
    }

    /// Whether data holds the address of a function.
    #[must_use]
    pub fn is_in_data(&self, id: FuncId) -> bool {
        self.in_data[id.index()]
    }

    /// The symbol that a function goes on to through a slot of the dynamic linker, if
    /// that is all it does.
    #[must_use]
    pub fn import_name(&self, id: FuncId) -> Option<&str> {
        let at = self.imports.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.imports.get(at).map(|(_, name)| name.as_str())
    }

    /// Functions that only go on to an import, with its name.
    #[must_use]
    pub fn imports(&self) -> &[(FuncId, String)] {
        &self.imports
    }

    /// The instruction at `at`, relocated.
    #[must_use]
    pub fn insn(&self, at: Svma) -> Option<Insn> {
        Some(scan::resolved(decode(self.word(at)?, at), at, &self.relocated))
    }

    /// The instruction word at `at`.
    #[must_use]
    pub fn word(&self, at: Svma) -> Option<u32> {
        let behind = self.code.partition_point(|(range, _)| range.start() <= at);
        let (range, bytes) = self.code.get(behind.checked_sub(1)?)?;
        let skip = usize::try_from(at.0 - range.start().0).ok()?;
        Some(u32::from_le_bytes(*bytes.get(skip..)?.first_chunk()?))
    }

    /// Instructions of all code.
    #[must_use]
    pub const fn instructions(&self) -> usize {
        self.instructions
    }

    /// Words of code that the decoder does not know.
    #[must_use]
    pub const fn undecoded(&self) -> usize {
        self.undecoded
    }

    /// Calls through registers.
    #[must_use]
    pub const fn unresolved_calls(&self) -> usize {
        self.unresolved_calls
    }
}
