//! Recovers a program from its code: one scan, then functions, import stubs, calls, functions
//! that never return, and the targets of BRs.

use super::branch_table;
use super::function::{self, FuncId, FunctionSource};
use super::plt;
use super::pointers;
use super::recovered::{BranchTable, CallKind, CallSite, RecoveredProgram};
use super::scan::{self, Event, Scan, Taken};
use crate::addr::{AddrRange, Svma};
use crate::arch::InsnValue;
use crate::debug_info::unwind_ranges;
use crate::image::{Image, ImageKind, Section, SymbolId};
use crate::jump_table::JumpTable;
use crate::semantics::{Control, INSN_BYTES};
use rayon::prelude::*;
use std::borrow::Cow;

impl<'data> RecoveredProgram<'data> {
    /// Recovers the program of `image`. `table` is the jump table of the image.
    #[must_use]
    pub fn recover(image: &Image<'data>, table: Option<&JumpTable<'_>>) -> Self {
        let sections = scan::code_sections(image);
        let mut beyond = Vec::new();
        let code: Vec<(AddrRange, Cow<'data, [u8]>)> =
            sections.iter().map(|section| code_of(image, section, &mut beyond)).collect();
        beyond.sort_unstable();
        beyond.dedup_by_key(|(at, _)| *at);
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
        let Scan { mut events, mut taken, instructions, undecoded } =
            scan::scan(image, &views, &sites, &beyond);
        let slots = image.imports();
        let forwards = plt::forwards(&views, slots, &events);
        follow(&forwards, &mut events, &mut taken);
        let externals: Vec<(Svma, SymbolId)> = image.symbols().externals().collect();
        // The full symbol table names every function; the dynamic symbol table does not.
        let unwind: Vec<Svma> = match image.section_named(".symtab") {
            Some(_) => Vec::new(),
            None => unwind_ranges(image).into_iter().map(AddrRange::start).collect(),
        };
        let starts = unwind.into_iter().map(|start| (start, FunctionSource::Unwind));
        let stubs = forwards.iter().map(|(stub, _)| (*stub, FunctionSource::Call));
        let starts: Vec<(Svma, FunctionSource)> = starts.chain(stubs).collect();
        let (functions, map) = function::functions(image, &sections, &starts, &externals, &events);
        let mut program = Self {
            functions,
            map,
            events,
            code,
            taken,
            instructions,
            undecoded,
            beyond,
            forwards,
            ..Self::default()
        };
        program.imports = plt::stubs(&program, slots);
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
            let (to, kind) = match event.control {
                Control::Call { to } => (to, CallKind::Call),
                Control::Jump { to } | Control::Branch { to, .. } if !range.contains(to) => {
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
        let is_unresolved = |event: &&Event| matches!(event.control, Control::CallRegister { .. });
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
            let slot = &mut counts[call.callee.index()];
            self.by_callee[*slot as usize] = index;
            *slot += 1;
        }
    }

    /// Finds the targets of BRs ([`Self::branch_table`]). Call [`Self::set_noreturn`] before: the
    /// functions that never return must be known.
    pub fn resolve_jumps(&mut self, image: &Image<'_>) {
        (self.branch_tables, self.incomplete_jumps) = branch_table::resolve(self, image);
        let of_table = |table: &BranchTable| {
            let caller = self.map.at(table.at)?;
            let range = self.function(caller).range;
            // The callers of a stub are callers of its target.
            if self.forwards.binary_search_by_key(&range.start(), |(stub, _)| *stub).is_ok() {
                return None;
            }
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

    /// Marks the functions whose address is in data.
    fn find_pointers(&mut self, image: &Image<'_>) {
        self.in_data = vec![false; self.functions.len()];
        for id in pointers::in_data(self, image) {
            self.in_data[id.index()] = true;
        }
    }

    /// Marks the functions that never return: those in `named`, and those that cannot return.
    pub fn set_noreturn(&mut self, named: &[FuncId]) {
        let mut queue: Vec<FuncId> = named.to_vec();
        queue.extend(self.ids().filter(|id| self.cannot_return(*id)));
        while let Some(id) = queue.pop() {
            if std::mem::replace(&mut self.noreturn[id.index()], true) {
                continue;
            }
            let callers: Vec<FuncId> = self
                .callers(id)
                .filter(|call| call.kind == CallKind::Tail)
                .map(|call| call.caller)
                .filter(|caller| !self.noreturn[caller.index()] && self.cannot_return(*caller))
                .collect();
            queue.extend(callers);
        }
    }

    /// Whether a function has no return, and continues only in functions that never return.
    fn cannot_return(&self, id: FuncId) -> bool {
        let range = self.function(id).range;
        let events = self.events_of(id);
        let returns = events.iter().any(|event| match event.control {
            Control::Return | Control::JumpRegister { .. } => true,
            Control::Jump { to } | Control::Branch { to, .. } if !range.contains(to) => {
                self.map.at(to).is_none_or(|to| !self.noreturn[to.index()])
            }
            _ => false,
        });
        // Execution must not run past the end of the function.
        let last = range.end().wrapping_offset(-INSN_BYTES.cast_signed());
        let is_closed = events.last().is_some_and(|event| {
            event.control.ends_block()
                || matches!(event.control, Control::Call { .. }) && event.at <= last
        });
        !returns && is_closed && !events.is_empty()
    }
}

/// Replaces branches to the stubs in `forwards` by branches to where these lead, and the addresses
/// of stubs likewise.
fn follow(forwards: &[(Svma, Svma)], events: &mut [Event], taken: &mut [Taken]) {
    if forwards.is_empty() {
        return;
    }
    for event in events {
        event.control = scan::forwarded(event.control, forwards);
    }
    for taken in taken {
        if let Ok(index) = forwards.binary_search_by_key(&taken.to, |(stub, _)| *stub) {
            taken.to = forwards[index].1;
        }
    }
}

/// The bytes of a section, relocated in a relocatable file. Adds the instructions whose value
/// their bits cannot hold to `beyond`.
fn code_of<'data>(
    image: &Image<'data>,
    section: &Section<'data>,
    beyond: &mut Vec<(Svma, InsnValue)>,
) -> (AddrRange, Cow<'data, [u8]>) {
    let range = AddrRange::sized(section.range.start(), section.data.len() as u64);
    if image.kind() == ImageKind::Rel
        && let Ok(relocated) = image.read_relocated(range)
    {
        beyond.extend(relocated.beyond);
        return (range, relocated.bytes);
    }
    (range, Cow::Borrowed(section.data))
}
