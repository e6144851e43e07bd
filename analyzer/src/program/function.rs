//! Functions: their start and end addresses.

use super::scan::Event;
use crate::addr::{AddrRange, Svma};
use crate::image::{Image, Section, SymbolId};
use crate::semantics::{Control, INSN_BYTES};
use std::ops::Range;

/// Dense index of a function of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FuncId(pub(crate) u32);

impl FuncId {
    /// The index into [`super::RecoveredProgram::functions`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The source from which a function is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionSource {
    /// A symbol names it.
    Symbol,
    /// Unwind tables have an entry for it (.eh_frame).
    Unwind,
    /// A call leads to it.
    Call,
    /// The start of a section.
    Section,
}

/// A function: the code from its start to the start of the next function.
#[derive(Debug, Clone)]
pub struct Function {
    /// The addresses of its code.
    pub range: AddrRange,
    /// The best name of the function.
    pub symbol: Option<SymbolId>,
    /// The source from which it is known.
    pub source: FunctionSource,
    /// Whether it is in text that the kernel frees after boot (`.init.text`).
    pub is_init: bool,
    pub(super) events: Range<usize>,
}

/// Functions by address.
#[derive(Debug, Default)]
pub(super) struct FunctionMap {
    /// Code sections with the function of each instruction; `u32::MAX` if there is no function.
    sections: Vec<(AddrRange, Vec<u32>)>,
    /// Undefined symbols of a relocatable file. Each is a function without code.
    externals: Vec<(Svma, u32)>,
}

impl FunctionMap {
    /// The function that contains `at`.
    pub(super) fn at(&self, at: Svma) -> Option<FuncId> {
        if let Ok(index) = self.externals.binary_search_by_key(&at, |(start, _)| *start) {
            return Some(FuncId(self.externals[index].1));
        }
        let after = self.sections.partition_point(|(range, _)| range.start() <= at);
        let (range, words) = self.sections.get(after.checked_sub(1)?)?;
        let word = (at.0 - range.start().0) / INSN_BYTES;
        let id = *words.get(usize::try_from(word).ok()?)?;
        (id != u32::MAX).then_some(FuncId(id))
    }
}

/// Finds the functions in `sections`, from symbols, calls and `other` sources.
pub(super) fn functions(
    image: &Image<'_>,
    sections: &[&Section<'_>],
    other: &[(Svma, FunctionSource)],
    externals: &[(Svma, SymbolId)],
    events: &[Event],
) -> (Vec<Function>, FunctionMap) {
    let mut starts: Vec<(Svma, FunctionSource, Option<SymbolId>)> = image
        .symbols()
        .function_starts()
        .map(|(start, symbol)| (start, FunctionSource::Symbol, Some(symbol)))
        .collect();
    starts.extend(other.iter().map(|(start, source)| (*start, *source, None)));
    // Tail calls may be the only branches to an import stub. No branch within the section leads
    // to another stub.
    let stubs: Vec<AddrRange> = sections
        .iter()
        .filter(|section| section.name.starts_with(".plt"))
        .map(|section| section.range)
        .collect();
    let is_stub = |to: Svma| stubs.iter().any(|range| range.contains(to));
    starts.extend(events.iter().filter_map(|event| match event.control {
        Control::Call { to } => Some((to, FunctionSource::Call, None)),
        Control::Jump { to } | Control::Branch { to, .. } if is_stub(to) => {
            Some((to, FunctionSource::Call, None))
        }
        _ => None,
    }));
    starts.extend(
        sections.iter().map(|section| (section.range.start(), FunctionSource::Section, None)),
    );
    starts.sort_by_key(|(start, source, _)| (*start, *source));
    starts.dedup_by_key(|(start, ..)| *start);
    let mut functions = Vec::with_capacity(starts.len());
    let mut map = FunctionMap::default();
    let mut at = 0;
    for section in sections {
        let range = AddrRange::sized(section.range.start(), section.data.len() as u64);
        at += starts[at..].iter().take_while(|(start, ..)| *start < range.start()).count();
        let inside = starts[at..].iter().take_while(|(start, ..)| range.contains(*start)).count();
        let mut words = vec![u32::MAX; section.data.len() / 4];
        let is_init = section.name.starts_with(".init.text");
        for index in at..at + inside {
            let (start, source, symbol) = starts[index];
            if !start.is_aligned(INSN_BYTES) {
                continue;
            }
            let mut next = starts[index + 1..at + inside].iter().map(|(next, ..)| *next);
            let end = next.find(|next| next.is_aligned(INSN_BYTES));
            let end = end.unwrap_or(range.start().wrapping_add(words.len() as u64 * INSN_BYTES));
            let id = u32::try_from(functions.len()).unwrap_or(u32::MAX);
            let word = |at: Svma| usize::try_from((at.0 - range.start().0) / INSN_BYTES);
            if let (Ok(first), Ok(last)) = (word(start), word(end)) {
                words[first..last.min(section.data.len() / 4)].fill(id);
            }
            let range = AddrRange::new(start, end).unwrap_or(AddrRange::sized(start, 0));
            let first = events.partition_point(|event| event.at < start);
            let last = events.partition_point(|event| event.at < end);
            functions.push(Function { range, symbol, source, is_init, events: first..last });
        }
        at += inside;
        map.sections.push((range, words));
    }
    for (start, symbol) in externals {
        map.externals.push((*start, u32::try_from(functions.len()).unwrap_or(u32::MAX)));
        let range = AddrRange::sized(*start, INSN_BYTES);
        let (source, symbol) = (FunctionSource::Symbol, Some(*symbol));
        functions.push(Function { range, symbol, source, is_init: false, events: 0..0 });
    }
    (functions, map)
}
