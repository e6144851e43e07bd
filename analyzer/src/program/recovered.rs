//! Functions of a program, the calls between them, and what was recovered with them.

use super::cfg::{self, BranchTable};
use super::function::{self, FuncId, Function, FunctionMap};
use super::insn::{INSN_BYTES, Insn, decode};
use super::scan::{self, Event, Scan, Taken};
use super::{branch_table, plt, pointers};
use crate::addr::{AddrRange, Svma};
use crate::debug_info::unwind_ranges;
use crate::image::{Image, ImageKind, Section, SymbolId};
use crate::jump_table::JumpTable;
use rayon::prelude::*;
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

/// All functions of an image and the calls between them.
#[derive(Debug, Default)]
pub struct Program<'data> {
    functions: Vec<Function>,
    map: FunctionMap,
    events: Vec<Event>,
    code: Vec<(AddrRange, Cow<'data, [u8]>)>,
    /// By caller and address.
    calls: Vec<CallSite>,
    /// Indexes into `calls`, by callee.
    by_callee: Vec<u32>,
    /// Where each function's part of `by_callee` begins.
    callee_starts: Vec<u32>,
    noreturn: Vec<bool>,
    taken: Vec<Taken>,
    /// Functions whose address stands in data.
    in_data: Vec<bool>,
    instructions: usize,
    undecoded: usize,
    unresolved_calls: usize,
    /// Where BRs go, by address.
    branch_tables: Vec<BranchTable>,
    /// Names of the functions that only go on to an import, by id.
    imports: Vec<(FuncId, String)>,
    /// What relocations of code refer to, in a relocatable file.
    relocated: Vec<(Svma, Svma)>,
}

impl<'data> Program<'data> {
    /// Recovers the program of `image`, whose jump table is `table`.
    #[must_use]
    pub fn recover(image: &Image<'data>, table: Option<&JumpTable<'_>>) -> Self {
        let sections = scan::code_sections(image);
        let code: Vec<(AddrRange, Cow<'data, [u8]>)> =
            sections.iter().map(|section| code_of(image, section)).collect();
        let views: Vec<(AddrRange, &[u8])> =
            code.iter().map(|(range, bytes)| (*range, &**bytes)).collect();
        let mut sites: Vec<(Svma, Svma)> = table.map_or_else(Vec::new, |table| {
            table
                .site_ids()
                .map(|id| table.entry(id))
                .map(|entry| (entry.code, entry.target))
                .collect()
        });
        sites.sort_unstable();
        let relocated: Vec<(Svma, Svma)> = match image.kind() {
            ImageKind::Rel => {
                views.iter().flat_map(|(range, _)| image.relocation_targets(*range)).collect()
            }
            ImageKind::Exec | ImageKind::Dyn => Vec::new(),
        };
        let Scan { events, taken, instructions, undecoded } =
            scan::scan(image, &views, &sites, &relocated);
        let externals: Vec<(Svma, SymbolId)> = image.symbols().externals().collect();
        // A table of all symbols knows every function; that of the dynamic linker does not.
        let unwind = match image.section_named(".symtab") {
            Some(_) => Vec::new(),
            None => unwind_ranges(image).into_iter().map(AddrRange::start).collect(),
        };
        let (functions, map) = function::functions(image, &sections, &unwind, &externals, &events);
        let mut program = Self {
            functions,
            map,
            events,
            code,
            taken,
            instructions,
            undecoded,
            relocated,
            ..Self::default()
        };
        program.imports = plt::stubs(&program, &image.imports());
        let name = |(at, symbol): &(Svma, SymbolId)| {
            Some((program.starting_at(*at)?, image.symbols().name(*symbol).into_owned()))
        };
        let undefined: Vec<(FuncId, String)> = externals.iter().filter_map(name).collect();
        program.imports.extend(undefined);
        program.noreturn = vec![false; program.functions.len()];
        program.find_calls();
        program.find_pointers(image);
        program
    }

    fn direct_calls(&self, caller: FuncId) -> impl Iterator<Item = CallSite> {
        let range = self.function(caller).range;
        self.events_of(caller).iter().filter_map(move |event| {
            let (to, kind) = match event.insn {
                Insn::Call { to } => (to, CallKind::Call),
                Insn::Jump { to } | Insn::Branch { to } if !range.contains(to) => {
                    (to, CallKind::Tail)
                }
                _ => return None,
            };
            Some(CallSite { caller, callee: self.map.at(to)?, at: event.at, kind })
        })
    }

    fn find_calls(&mut self) {
        let ids: Vec<FuncId> = self.ids().collect();
        self.calls = ids.par_iter().flat_map_iter(|caller| self.direct_calls(*caller)).collect();
        let is_unresolved = |event: &&Event| matches!(event.insn, Insn::CallRegister { .. });
        self.unresolved_calls = self.events.iter().filter(is_unresolved).count();
        self.index_callers();
    }

    fn index_callers(&mut self) {
        let mut counts = vec![0u32; self.functions.len() + 1];
        for call in &self.calls {
            counts[call.callee.index() + 1] += 1;
        }
        for index in 1..counts.len() {
            counts[index] += counts[index - 1];
        }
        self.callee_starts.clone_from(&counts);
        self.by_callee = vec![0; self.calls.len()];
        for (index, call) in (0u32..).zip(&self.calls) {
            let place = &mut counts[call.callee.index()];
            self.by_callee[*place as usize] = index;
            *place += 1;
        }
    }

    /// Finds where BRs go ([`Self::branch_table`]).  Functions that never return are to be
    /// known before ([`Self::set_noreturn`]).
    pub fn resolve_jumps(&mut self, image: &Image<'_>) {
        self.branch_tables = branch_table::resolve(self, image);
        let of_table = |table: &BranchTable| {
            let caller = self.map.at(table.at)?;
            let range = self.function(caller).range;
            let callees = table.targets.iter().filter(|to| !range.contains(**to));
            let callees = callees.filter_map(|to| self.map.at(*to));
            let (at, kind) = (table.at, CallKind::Tail);
            Some(callees.map(|callee| CallSite { caller, callee, at, kind }).collect::<Vec<_>>())
        };
        let found: Vec<CallSite> =
            self.branch_tables.iter().filter_map(of_table).flatten().collect();
        if !found.is_empty() {
            self.calls.extend(found);
            self.calls.sort_by_key(|call| (call.caller, call.at));
            self.index_callers();
        }
    }

    /// Notes functions whose address is in data.
    fn find_pointers(&mut self, image: &Image<'_>) {
        self.in_data = vec![false; self.functions.len()];
        for id in pointers::in_data(self, image) {
            self.in_data[id.index()] = true;
        }
    }

    /// Says which functions never return: those named, and those without a way back.
    pub fn set_noreturn(&mut self, named: &[FuncId]) {
        let mut queue: Vec<FuncId> = named.to_vec();
        queue.extend(self.ids().filter(|id| self.has_no_way_back(*id)));
        while let Some(id) = queue.pop() {
            if std::mem::replace(&mut self.noreturn[id.index()], true) {
                continue;
            }
            let callers: Vec<FuncId> = self
                .callers(id)
                .filter(|call| call.kind == CallKind::Tail)
                .map(|call| call.caller)
                .filter(|caller| !self.noreturn[caller.index()] && self.has_no_way_back(*caller))
                .collect();
            queue.extend(callers);
        }
    }

    /// Whether nothing in the function returns, and all that it goes on to never does.
    fn has_no_way_back(&self, id: FuncId) -> bool {
        let range = self.function(id).range;
        let events = self.events_of(id);
        let returns = events.iter().any(|event| match event.insn {
            Insn::Return | Insn::JumpRegister { .. } => true,
            Insn::Jump { to } | Insn::Branch { to } if !range.contains(to) => {
                self.map.at(to).is_none_or(|to| !self.noreturn[to.index()])
            }
            _ => false,
        });
        // The end must not be passed by.
        let last = range.end().wrapping_offset(-INSN_BYTES.cast_signed());
        let is_closed = events.last().is_some_and(|event| {
            event.insn.ends_block() || matches!(event.insn, Insn::Call { .. }) && event.at <= last
        });
        !returns && is_closed && !events.is_empty()
    }

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
        cfg::tables_in(&self.branch_tables, at)
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

/// The bytes of a section; in a relocatable file with its branches resolved.
fn code_of<'data>(image: &Image<'data>, section: &Section<'data>) -> (AddrRange, Cow<'data, [u8]>) {
    let range = AddrRange::sized(section.range.start(), section.data.len() as u64);
    if image.kind() == ImageKind::Rel
        && let Ok(relocated) = image.read_relocated(range)
    {
        return (range, relocated.bytes);
    }
    (range, Cow::Borrowed(section.data))
}
