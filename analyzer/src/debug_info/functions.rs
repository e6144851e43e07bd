//! Finds the function that covers an address and the calls inlined around it.

use super::budget::{Purse, UnitFailure};
use super::cursor::{Attributes, Cursor, EntryShape, Met, WalkMode, sibling_of};
use super::dwarf::{Slice, UnitRef};
use super::names::{EntryNames, NameAttributes, NameId};
use super::ranges::RangeAttributes;
use gimli::{AttributeValue, UnitOffset};

/// One function or inlined call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The call that this one is inlined into; `None` for the outermost function.
    pub(super) parent: Option<CallId>,
    /// Name of the called function; `None` if it has no name.
    pub(super) function: Option<NameId>,
    /// Position at which it was inlined; all zero for the outermost function.
    pub(super) site: InlineSite,
}

/// Index into [`UnitFunctions::calls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallId(u32);

/// Position of an inlined call, as DWARF states it; 0 is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InlineSite {
    /// Index into the unit's file table.
    pub(super) file: Option<u64>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Functions and inlined calls of one unit, and for each probe the innermost one that covers
/// it.  The outer ones are its parents.
#[derive(Debug, Default)]
pub(super) struct UnitFunctions {
    calls: Vec<Call>,
    innermost: Vec<Option<CallId>>,
}

impl UnitFunctions {
    /// Walks `unit` for `probes`, addresses in ascending order.  After a failure the result
    /// holds what was found before it.
    pub(super) fn find<'a>(
        unit: UnitRef<'a, 'a>,
        probes: &[u64],
        names: &mut EntryNames<'a>,
        purse: &mut Purse<'_>,
    ) -> (Self, Option<UnitFailure>) {
        let functions = Self { calls: Vec::new(), innermost: vec![None; probes.len()] };
        let (open, hits) = (probes.len(), Vec::new());
        let nested = Vec::new();
        let mut finder =
            FunctionSearch { unit, probes, names, purse, functions, open, nested, hits };
        let mut result = finder.walk(WalkMode::Fast);
        if result.is_ok() && finder.open > 0 {
            result = finder.walk(WalkMode::Full);
        }
        (finder.functions, result.err())
    }

    /// The calls around a probe, innermost first.
    pub(super) fn chain(&self, probe: usize) -> impl Iterator<Item = &Call> {
        let call = |id: CallId| &self.calls[id.0 as usize];
        let innermost = self.innermost.get(probe).copied().flatten();
        std::iter::successors(innermost.map(call), move |inner| inner.parent.map(call))
    }
}

struct FunctionSearch<'a, 'b, 'c> {
    unit: UnitRef<'a, 'a>,
    probes: &'b [u64],
    names: &'b mut EntryNames<'a>,
    purse: &'b mut Purse<'c>,
    functions: UnitFunctions,
    /// Number of probes without a function yet.
    open: usize,
    /// Nested functions that are still to be entered.
    nested: Vec<(UnitOffset<usize>, isize)>,
    /// Indexes of the probes that the last entry covers.
    hits: Vec<usize>,
}

/// The code ranges of a function or an inlined call.
struct CallEntry<'a> {
    ranges: RangeAttributes,
    sibling: Option<UnitOffset<usize>>,
    attributes: Attributes<'a>,
}

/// The called function and the position of the call.
#[derive(Default)]
struct Callee<'a> {
    name: NameAttributes<'a>,
    site: InlineSite,
}

/// An inlined call whose children are being walked.
struct Ancestor {
    depth: isize,
    call: CallId,
    /// Whether its ranges are empty.  Compilers leave such a call if all its remaining code was
    /// inlined into it; it belongs to the chain of everything that its children cover.
    is_empty: bool,
}

impl<'a> FunctionSearch<'a, '_, '_> {
    fn walk(&mut self, walk: WalkMode) -> Result<(), UnitFailure> {
        let mut cursor = Cursor::new(self.unit.unit, None, 0)?;
        // Damaged entries can lead above the root; the walk ends with the unit.
        let floor = isize::MIN;
        while self.open > 0
            && let Some(Met { depth, shape, .. }) = cursor.next(floor, walk, self.purse)?
        {
            if shape.tag != gimli::DW_TAG_subprogram || !shape.has_ranges {
                match walk {
                    WalkMode::Fast => cursor.skip_with_children(shape, depth)?,
                    WalkMode::Full => cursor.skip_attributes(shape)?,
                }
                continue;
            }
            let entry = self.read(&mut cursor, shape)?;
            self.cover(&entry)?;
            if self.is_any_open() {
                self.function(&mut cursor, &entry, depth, walk)?;
                self.enter_nested(walk)?;
            } else if walk == WalkMode::Fast {
                cursor.jump(entry.sibling, depth)?;
            }
        }
        Ok(())
    }

    /// Whether one of the probes in `hits` has no function yet.
    fn is_any_open(&self) -> bool {
        self.hits.iter().any(|probe| self.functions.innermost[*probe].is_none())
    }

    /// Enters the nested functions that were met.
    fn enter_nested(&mut self, walk: WalkMode) -> Result<(), UnitFailure> {
        while let Some((at, depth)) = self.nested.pop() {
            let mut cursor = Cursor::new(self.unit.unit, Some(at), depth)?;
            let Some(shape) = cursor.shape()? else { continue };
            let entry = self.read(&mut cursor, shape)?;
            self.cover(&entry)?;
            self.function(&mut cursor, &entry, depth, walk)?;
        }
        Ok(())
    }

    /// Assigns a function to the probes in `hits`, and walks its subtree for the calls inlined
    /// around them.  Leaves the cursor after the subtree.
    fn function(
        &mut self,
        cursor: &mut Cursor<'a>,
        entry: &CallEntry<'a>,
        depth: isize,
        walk: WalkMode,
    ) -> Result<(), UnitFailure> {
        let function = self.call(&entry.attributes, None)?;
        for probe in &self.hits {
            let innermost = &mut self.functions.innermost[*probe];
            if innermost.is_none() {
                *innermost = Some(function);
                self.open -= 1;
            }
        }
        let mut ancestors: Vec<Ancestor> = Vec::new();
        let floor = depth;
        while let Some(Met { at, depth, lowest, shape }) = cursor.next(floor, walk, self.purse)? {
            while ancestors.last().is_some_and(|ancestor| ancestor.depth >= lowest) {
                ancestors.pop();
            }
            let entry = self.read(cursor, shape)?;
            if shape.tag == gimli::DW_TAG_inlined_subroutine {
                match self.inlined(&entry, function, &ancestors)? {
                    Some((call, is_empty)) => ancestors.push(Ancestor { depth, call, is_empty }),
                    None => cursor.jump(entry.sibling, depth)?,
                }
                continue;
            }
            self.cover(&entry)?;
            if self.is_any_open() {
                self.nested.push((at, depth));
            }
            cursor.jump(entry.sibling, depth)?;
            // An entry without a sibling reference: walk through the subtree.
            while let Some(Met { shape, .. }) = cursor.next(depth, walk, self.purse)? {
                cursor.skip_attributes(shape)?;
            }
        }
        Ok(())
    }

    /// Accepts an inlined call if its children can matter: if its ranges are empty (second
    /// value of the result), or if it covers probes whose chain has reached its parent.
    fn inlined(
        &mut self,
        entry: &CallEntry<'a>,
        function: CallId,
        ancestors: &[Ancestor],
    ) -> Result<Option<(CallId, bool)>, UnitFailure> {
        let call_of = |ancestor: &Ancestor| ancestor.call;
        let parent = ancestors.last().map_or(function, call_of);
        if self.cover(entry)? {
            return Ok(Some((self.call(&entry.attributes, Some(parent))?, true)));
        }
        // Empty ancestors cover no probe: the chain has reached the last ancestor that is not
        // empty.
        let reached = ancestors.iter().rfind(|ancestor| !ancestor.is_empty);
        let reached = reached.map_or(function, call_of);
        let innermost = &self.functions.innermost;
        self.hits.retain(|probe| innermost[*probe] == Some(reached));
        if self.hits.is_empty() {
            return Ok(None);
        }
        let call = self.call(&entry.attributes, Some(parent))?;
        for probe in &self.hits {
            self.functions.innermost[*probe] = Some(call);
        }
        Ok(Some((call, false)))
    }

    fn call(
        &mut self,
        attributes: &Attributes<'a>,
        parent: Option<CallId>,
    ) -> Result<CallId, UnitFailure> {
        let mut callee = Callee::default();
        let unit = self.unit;
        attributes.read(
            |name| !is_location_attribute(name),
            |attribute| {
                take_call_site(unit, attribute, &mut callee.site);
                callee.name.take(attribute);
                Ok(())
            },
        )?;
        let function = self.names.resolve(callee.name, self.purse)?;
        let id = u32::try_from(self.functions.calls.len()).unwrap_or(u32::MAX);
        self.functions.calls.push(Call { parent, function, site: callee.site });
        Ok(CallId(id))
    }

    /// Reads the code ranges of the entry.  Most entries cover no probe, and nothing else of
    /// them is needed.
    fn read(
        &mut self,
        cursor: &mut Cursor<'a>,
        shape: EntryShape<'a>,
    ) -> Result<CallEntry<'a>, UnitFailure> {
        let mut ranges = RangeAttributes::default();
        let mut sibling = None;
        let unit = self.unit;
        let attributes = cursor.attributes(shape);
        let end = attributes.read(is_location_attribute, |attribute| {
            if attribute.name() == gimli::DW_AT_sibling {
                sibling = sibling_of(attribute);
                return Ok(());
            }
            ranges.take(unit, attribute.name(), attribute.value())
        })?;
        cursor.go_to(end)?;
        Ok(CallEntry { ranges, sibling, attributes })
    }

    /// Collects in `hits` the probes that the entry's ranges cover.  Returns whether the ranges
    /// are empty.
    fn cover(&mut self, entry: &CallEntry<'a>) -> Result<bool, UnitFailure> {
        let Self { probes, hits, .. } = self;
        let mut is_empty = true;
        hits.clear();
        entry.ranges.for_each(self.unit, self.purse, |begin, end| {
            is_empty = false;
            let first = probes.partition_point(|probe| *probe < begin);
            hits.extend((first..probes.len()).take_while(|index| probes[*index] < end));
        })?;
        Ok(is_empty)
    }
}

/// Attributes that state an entry's code ranges and its sibling.
fn is_location_attribute(name: gimli::DwAt) -> bool {
    matches!(
        name,
        gimli::DW_AT_low_pc | gimli::DW_AT_high_pc | gimli::DW_AT_ranges | gimli::DW_AT_sibling
    )
}

fn take_call_site(
    unit: UnitRef<'_, '_>,
    attribute: &gimli::Attribute<Slice<'_>>,
    site: &mut InlineSite,
) {
    let number =
        || attribute.udata_value().and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
    match (attribute.name(), attribute.value()) {
        (gimli::DW_AT_call_file, AttributeValue::FileIndex(file)) => {
            // Before DWARF 5 file 0 meant "no file"; since DWARF 5 it is a file.
            site.file = (file > 0 || unit.header.version() >= 5).then_some(file);
        }
        (gimli::DW_AT_call_line, _) => site.line = number(),
        (gimli::DW_AT_call_column, _) => site.column = number(),
        _ => {}
    }
}
