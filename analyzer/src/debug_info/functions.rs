//! Which function holds an address, and the calls inlined around it.

use super::budget::{Failure, Purse};
use super::cursor::{Cursor, Met, Shape, Walk, sibling_of};
use super::names::{NameAttributes, Names};
use super::ranges::RangeAttributes;
use super::{Slice, UnitRef};
use gimli::{AttributeValue, UnitOffset};

/// One function or inlined call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Name of the function called; `None` if nothing names it.
    pub(super) function: Option<String>,
    /// Where it was inlined; all zero for the outermost function.
    pub(super) site: CallSite,
}

/// Place of an inlined call, as DWARF says it: 0 is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CallSite {
    /// Index into the unit's file table.
    pub(super) file: Option<u64>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Functions and inlined calls of one unit, and for each probe its chain of
/// them, outermost first, as indexes into `calls`.
#[derive(Debug, Default)]
pub(super) struct Functions {
    pub(super) calls: Vec<Call>,
    pub(super) chains: Vec<Vec<u32>>,
}

impl Functions {
    /// Walks `unit` for `probes`, addresses in ascending order.  With a failure
    /// comes what was found before it.
    pub(super) fn find<'a>(
        unit: UnitRef<'a, 'a>,
        probes: &[u64],
        names: &mut Names<'a>,
        purse: &mut Purse<'_>,
    ) -> (Self, Option<Failure>) {
        let functions = Self { calls: Vec::new(), chains: vec![Vec::new(); probes.len()] };
        let open = probes.len();
        let mut finder = Finder { unit, probes, names, purse, functions, open, nested: Vec::new() };
        let mut result = finder.walk(Walk::Fast);
        if result.is_ok() && finder.open > 0 {
            result = finder.walk(Walk::Full);
        }
        (finder.functions, result.err())
    }
}

struct Finder<'a, 'b, 'c> {
    unit: UnitRef<'a, 'a>,
    probes: &'b [u64],
    names: &'b mut Names<'a>,
    purse: &'b mut Purse<'c>,
    functions: Functions,
    /// Probes without a function yet.
    open: usize,
    /// Functions inside functions that are still to be entered.
    nested: Vec<(UnitOffset<usize>, isize)>,
}

/// What the entry of a function or an inlined call says.
#[derive(Default)]
struct Entry<'a> {
    ranges: RangeAttributes,
    name: NameAttributes<'a>,
    site: CallSite,
    sibling: Option<UnitOffset<usize>>,
}

/// An inlined call whose children are being walked.
struct Ancestor {
    depth: isize,
    call: u32,
    /// Whether its ranges are empty.  Compilers leave such calls when all that
    /// remains of them is what was inlined into them: they stand in the chain of
    /// whatever their children cover.
    is_empty: bool,
}

/// What an entry's ranges cover.
struct Coverage {
    /// Indexes of the probes inside.
    hits: Vec<usize>,
    /// Whether there is no address in any of them.
    is_empty: bool,
}

impl<'a> Finder<'a, '_, '_> {
    fn walk(&mut self, walk: Walk) -> Result<(), Failure> {
        let mut cursor = Cursor::new(self.unit.unit, None, 0)?;
        // Damage can lead above the root; the end of the unit ends it all.
        let floor = isize::MIN;
        while self.open > 0
            && let Some(Met { depth, shape, .. }) = cursor.next(floor, walk, self.purse)?
        {
            if shape.tag != gimli::DW_TAG_subprogram || !shape.has_ranges {
                match walk {
                    Walk::Fast => cursor.skip_with_children(shape, depth)?,
                    Walk::Full => cursor.skip_attributes(shape)?,
                }
                continue;
            }
            let entry = self.read(&mut cursor, shape)?;
            let hits = self.coverage(&entry)?.hits;
            if self.is_any_open(&hits) {
                self.function(&mut cursor, &entry, depth, &hits, walk)?;
                self.enter_nested(walk)?;
            } else if walk == Walk::Fast {
                cursor.jump(entry.sibling, depth)?;
            }
        }
        Ok(())
    }

    /// Whether one of these probes has no function yet.
    fn is_any_open(&self, hits: &[usize]) -> bool {
        hits.iter().any(|probe| self.functions.chains[*probe].is_empty())
    }

    /// Enters the functions that were met inside others.
    fn enter_nested(&mut self, walk: Walk) -> Result<(), Failure> {
        while let Some((at, depth)) = self.nested.pop() {
            let mut cursor = Cursor::new(self.unit.unit, Some(at), depth)?;
            let Some(shape) = cursor.shape()? else { continue };
            let entry = self.read(&mut cursor, shape)?;
            let hits = self.coverage(&entry)?.hits;
            self.function(&mut cursor, &entry, depth, &hits, walk)?;
        }
        Ok(())
    }

    /// Takes a function that holds probes, and walks its subtree for the calls
    /// inlined around them.  Leaves the cursor behind the subtree.
    fn function(
        &mut self,
        cursor: &mut Cursor<'a>,
        entry: &Entry<'a>,
        depth: isize,
        hits: &[usize],
        walk: Walk,
    ) -> Result<(), Failure> {
        let function = self.call(entry.name, CallSite::default())?;
        for probe in hits {
            let chain = &mut self.functions.chains[*probe];
            if chain.is_empty() {
                chain.push(function);
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
            let hits = self.coverage(&entry)?.hits;
            if self.is_any_open(&hits) {
                self.nested.push((at, depth));
            }
            cursor.jump(entry.sibling, depth)?;
            // Without a sibling reference the subtree is walked through.
            while let Some(Met { shape, .. }) = cursor.next(depth, walk, self.purse)? {
                cursor.skip_attributes(shape)?;
            }
        }
        Ok(())
    }

    /// Takes an inlined call if its children can matter: it is empty (second
    /// value), or it holds probes whose chain has come as far as its parent.
    fn inlined(
        &mut self,
        entry: &Entry<'a>,
        function: u32,
        ancestors: &[Ancestor],
    ) -> Result<Option<(u32, bool)>, Failure> {
        let Coverage { mut hits, is_empty } = self.coverage(entry)?;
        if is_empty {
            return Ok(Some((self.call(entry.name, entry.site)?, true)));
        }
        let empty = ancestors.iter().rev().take_while(|ancestor| ancestor.is_empty).count();
        let (taken, empty) = ancestors.split_at(ancestors.len() - empty);
        let parent = taken.last().map_or(function, |ancestor| ancestor.call);
        hits.retain(|probe| self.functions.chains[*probe].last() == Some(&parent));
        if hits.is_empty() {
            return Ok(None);
        }
        let call = self.call(entry.name, entry.site)?;
        for probe in hits {
            let chain = &mut self.functions.chains[probe];
            chain.extend(empty.iter().map(|ancestor| ancestor.call));
            chain.push(call);
        }
        Ok(Some((call, false)))
    }

    fn call(&mut self, name: NameAttributes<'a>, site: CallSite) -> Result<u32, Failure> {
        let function = self.names.resolve(name, self.purse)?;
        let id = u32::try_from(self.functions.calls.len()).unwrap_or(u32::MAX);
        self.functions.calls.push(Call { function, site });
        Ok(id)
    }

    fn read(&mut self, cursor: &mut Cursor<'a>, shape: Shape<'a>) -> Result<Entry<'a>, Failure> {
        let mut entry = Entry::default();
        let unit = self.unit;
        cursor.attributes(shape, |attribute| match attribute.name() {
            gimli::DW_AT_low_pc | gimli::DW_AT_high_pc | gimli::DW_AT_ranges => {
                entry.ranges.take(unit, attribute.name(), attribute.value())
            }
            gimli::DW_AT_call_file | gimli::DW_AT_call_line | gimli::DW_AT_call_column => {
                take_call_site(unit, attribute, &mut entry.site);
                Ok(())
            }
            gimli::DW_AT_sibling => {
                entry.sibling = sibling_of(attribute);
                Ok(())
            }
            _ => {
                entry.name.take(attribute);
                Ok(())
            }
        })?;
        Ok(entry)
    }

    fn coverage(&mut self, entry: &Entry<'a>) -> Result<Coverage, Failure> {
        let mut coverage = Coverage { hits: Vec::new(), is_empty: true };
        let probes = self.probes;
        entry.ranges.for_each(self.unit, self.purse, |begin, end| {
            coverage.is_empty = false;
            let first = probes.partition_point(|probe| *probe < begin);
            coverage.hits.extend((first..probes.len()).take_while(|index| probes[*index] < end));
        })?;
        Ok(coverage)
    }
}

fn take_call_site(
    unit: UnitRef<'_, '_>,
    attribute: &gimli::Attribute<Slice<'_>>,
    site: &mut CallSite,
) {
    let number =
        || attribute.udata_value().and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
    match (attribute.name(), attribute.value()) {
        (gimli::DW_AT_call_file, AttributeValue::FileIndex(file)) => {
            // Before DWARF 5 file 0 was "no file"; since then it is a file.
            site.file = (file > 0 || unit.header.version() >= 5).then_some(file);
        }
        (gimli::DW_AT_call_line, _) => site.line = number(),
        (gimli::DW_AT_call_column, _) => site.column = number(),
        _ => {}
    }
}
