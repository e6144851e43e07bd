//! A walk over the entries of a unit that can skip subtrees.
//!
//! Most entries of a kernel are types and variables, which the walk only skips. What skipping
//! an entry takes (the size of its attributes, the offset of its sibling reference) depends on
//! the abbreviation alone, and is computed once for each abbreviation.

use super::budget::{Purse, UnitFailure};
use super::dwarf::{Slice, Unit};
use gimli::{Abbreviation, Attribute, DwAt, DwTag, EntriesRaw, Reader as _, UnitOffset};
use std::ops::Range;

/// Position in a unit's entries, with the depth in its tree.
pub(super) struct Cursor<'a> {
    unit: &'a Unit<'a>,
    input: Slice<'a>,
    /// Offset of the end of `input`.
    end: usize,
    depth: isize,
    /// By abbreviation code, filled on first use.
    shapes: Vec<Option<EntryShape<'a>>>,
}

/// How much of a unit the walk visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkMode {
    /// Skips subtrees that cannot hold a C function.
    Fast,
    /// Visits every entry, to find functions that the fast walk misses: functions inside
    /// functions or inside types.
    Full,
}

/// A function or an inlined call that the walk has reached.
pub(super) struct Met<'a> {
    pub(super) at: UnitOffset<usize>,
    pub(super) depth: isize,
    /// Depth of the highest entry passed since the last [`Met`]: the walk has left every entry
    /// at this depth or below.
    pub(super) lowest: isize,
    pub(super) shape: EntryShape<'a>,
}

/// Properties shared by all entries of an abbreviation.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryShape<'a> {
    pub(super) tag: DwTag,
    /// Whether the entries state the address of their code; declarations do not.
    pub(super) has_ranges: bool,
    abbreviation: &'a Abbreviation,
    /// Whether the entries are functions or inlined calls.
    pub(super) is_call: bool,
    /// Whether functions or inlined calls can occur below the entries.
    pub(super) holds_code: bool,
    has_children: bool,
    /// Size of all attributes in bytes, if it is the same for all entries.
    size: Option<usize>,
    /// The reference to the sibling, if the entries have children.
    sibling: Option<Sibling>,
}

/// The position of an entry's reference to its sibling.
#[derive(Debug, Clone, Copy)]
enum Sibling {
    /// A DW_FORM_ref4 this many bytes after the abbreviation code.  Compilers emit this form,
    /// and it can be read without decoding the attributes before it.
    Ref4(usize),
    /// The attribute of this index.
    Attribute(usize),
}

/// Abbreviation codes are dense; properties of codes above this one are not cached.
const REMEMBERED: usize = 1 << 12;

impl<'a> Cursor<'a> {
    /// A cursor at the entry `at`, whose depth counts as `depth`; at the root if `at` is
    /// `None`.
    pub(super) fn new(
        unit: &'a Unit<'a>,
        at: Option<UnitOffset<usize>>,
        depth: isize,
    ) -> Result<Self, gimli::Error> {
        let at = at.unwrap_or_else(|| unit.header.root_offset());
        let input = unit.header.range_from(at..)?;
        Ok(Self { unit, input, end: at.0 + input.len(), depth, shapes: Vec::new() })
    }

    /// Offset of the next entry.
    pub(super) fn offset(&self) -> UnitOffset<usize> {
        UnitOffset(self.end - self.input.len())
    }

    /// Skips entries up to the next function or inlined call deeper than `floor`, and reads its
    /// abbreviation; `None` after the last one.
    pub(super) fn next(
        &mut self,
        floor: isize,
        walk: WalkMode,
        purse: &mut Purse<'_>,
    ) -> Result<Option<Met<'a>>, UnitFailure> {
        let mut lowest = isize::MAX;
        while !self.input.is_empty() && self.depth > floor {
            purse.spend()?;
            let (at, depth) = (self.offset(), self.depth);
            lowest = lowest.min(depth);
            let Some(index) = self.read_code()? else { continue };
            let Some(shape) = &self.shapes[index] else { continue };
            if shape.is_call {
                let shape = *shape;
                self.depth += isize::from(shape.has_children);
                return Ok(Some(Met { at, depth, lowest, shape }));
            }
            let jumps = walk == WalkMode::Fast && !shape.holds_code && shape.sibling.is_some();
            if let (false, Some(size)) = (jumps, shape.size) {
                self.depth += isize::from(shape.has_children);
                self.input.skip(size)?;
                continue;
            }
            let shape = *shape;
            self.depth += isize::from(shape.has_children);
            if jumps {
                self.skip_with_children(shape, depth)?;
            } else {
                self.skip_attributes(shape)?;
            }
        }
        Ok(None)
    }

    /// Skips entries up to the next one with `tag`, and reads its abbreviation; `None` after
    /// the last one.  A subtree whose end is known is entered only if `enters`, called with its
    /// root and its range of offsets, agrees.
    pub(super) fn next_tagged(
        &mut self,
        tag: DwTag,
        mut enters: impl FnMut(&EntryShape<'a>, Range<usize>) -> bool,
        purse: &mut Purse<'_>,
    ) -> Result<Option<(UnitOffset<usize>, EntryShape<'a>)>, UnitFailure> {
        while !self.input.is_empty() {
            purse.spend()?;
            let at = self.offset();
            let Some(index) = self.read_code()? else { continue };
            let Some(shape) = &self.shapes[index] else { continue };
            if shape.tag == tag {
                let shape = *shape;
                self.depth += isize::from(shape.has_children);
                return Ok(Some((at, shape)));
            }
            if let (None, Some(size)) = (shape.sibling, shape.size) {
                self.depth += isize::from(shape.has_children);
                self.input.skip(size)?;
                continue;
            }
            let shape = *shape;
            match self.sibling(shape)? {
                Some(sibling) if !enters(&shape, at.0..sibling.0) => {
                    self.input.skip(sibling.0 - self.offset().0)?;
                }
                _ => {
                    self.depth += isize::from(shape.has_children);
                    self.skip_attributes(shape)?;
                }
            }
        }
        Ok(None)
    }

    /// Reads the next entry's abbreviation; `None` is the end of a sibling list.
    pub(super) fn shape(&mut self) -> Result<Option<EntryShape<'a>>, gimli::Error> {
        let Some(index) = self.read_code()? else { return Ok(None) };
        let shape = self.shapes[index];
        self.depth += isize::from(shape.is_some_and(|shape| shape.has_children));
        Ok(shape)
    }

    /// Reads an abbreviation code and returns the index of its shape; `None` at the end of a
    /// sibling list. The cursor is then after that list.
    #[inline]
    fn read_code(&mut self) -> Result<Option<usize>, gimli::Error> {
        // Nearly all codes are one byte.
        let code = match self.input.slice() {
            [code @ 0..0x80, ..] => {
                let code = u64::from(*code);
                self.input.skip(1)?;
                code
            }
            _ => self.input.read_uleb128()?,
        };
        if code == 0 {
            self.depth -= 1;
            return Ok(None);
        }
        match usize::try_from(code) {
            Ok(index) if matches!(self.shapes.get(index), Some(Some(_))) => Ok(Some(index)),
            _ => self.remember(code).map(Some),
        }
    }

    #[cold]
    fn remember(&mut self, code: u64) -> Result<usize, gimli::Error> {
        let abbreviation =
            self.unit.abbreviations.get(code).ok_or(gimli::Error::InvalidAbbreviationCode(code))?;
        // No abbreviation has the code 0: its slot serves the codes that are not cached.
        let index = usize::try_from(code).ok().filter(|code| *code < REMEMBERED).unwrap_or(0);
        self.shapes.resize(self.shapes.len().max(index + 1), None);
        self.shapes[index] = Some(EntryShape::new(self.unit, abbreviation));
        Ok(index)
    }

    /// The attributes of the entry, to be read now or later.
    pub(super) fn attributes(&self, shape: EntryShape<'a>) -> Attributes<'a> {
        Attributes { unit: self.unit, input: self.input, at: self.offset(), shape }
    }

    /// Continues at `offset`, after the attributes that were read.
    pub(super) fn go_to(&mut self, offset: UnitOffset<usize>) -> Result<(), gimli::Error> {
        self.input.skip(offset.0.saturating_sub(self.offset().0))
    }

    /// Skips the attributes of the entry and, if it states its sibling, its children as well.
    pub(super) fn skip_with_children(
        &mut self,
        shape: EntryShape<'a>,
        depth: isize,
    ) -> Result<(), gimli::Error> {
        // The jump also skips the attributes after the reference.
        match self.sibling(shape)? {
            None => self.skip_attributes(shape),
            sibling => self.jump(sibling, depth),
        }
    }

    /// The sibling of the entry whose abbreviation was just read; `None` if the entry has no
    /// children, states no sibling, or states one that does not lie after the reference.
    fn sibling(&self, shape: EntryShape<'a>) -> Result<Option<UnitOffset<usize>>, gimli::Error> {
        let (sibling, after) = match shape.sibling {
            None => return Ok(None),
            Some(Sibling::Ref4(bytes)) => {
                let mut input = self.input;
                input.skip(bytes)?;
                (Some(UnitOffset(input.read_u32()? as usize)), self.end - input.len())
            }
            Some(Sibling::Attribute(at)) => {
                let specs = shape.abbreviation.attributes();
                let mut entries = self.entries();
                entries.skip_attributes(&specs[..at])?;
                (sibling_of(&entries.read_attribute(specs[at])?), entries.next_offset().0)
            }
        };
        Ok(sibling.filter(|sibling| sibling.0 > after))
    }

    pub(super) fn skip_attributes(&mut self, shape: EntryShape<'a>) -> Result<(), gimli::Error> {
        if let Some(size) = shape.size {
            return self.input.skip(size);
        }
        let mut entries = self.entries();
        entries.skip_attributes(shape.abbreviation.attributes())?;
        self.continue_after(&entries)
    }

    /// Moves to the sibling of an entry at `depth`.  The cursor stays at the first child if
    /// there is no sibling or if it would move backwards.
    pub(super) fn jump(
        &mut self,
        sibling: Option<UnitOffset<usize>>,
        depth: isize,
    ) -> Result<(), gimli::Error> {
        if let Some(sibling) = sibling.filter(|sibling| sibling.0 > self.offset().0) {
            self.input.skip(sibling.0 - self.offset().0)?;
            self.depth = depth;
        }
        Ok(())
    }

    /// gimli's reader of attributes, at the current position.
    fn entries(&self) -> EntriesRaw<'a, Slice<'a>> {
        let unit = self.unit;
        EntriesRaw::new(self.input, unit.header.encoding(), &unit.abbreviations, self.offset())
    }

    fn continue_after(&mut self, entries: &EntriesRaw<'a, Slice<'a>>) -> Result<(), gimli::Error> {
        self.input.skip(entries.next_offset().0 - self.offset().0)
    }
}

/// The attributes of one entry.
pub(super) struct Attributes<'a> {
    unit: &'a Unit<'a>,
    input: Slice<'a>,
    at: UnitOffset<usize>,
    shape: EntryShape<'a>,
}

impl<'a> Attributes<'a> {
    /// Reads the attributes whose names are `wanted` and skips the others.  Returns the offset
    /// after all attributes.
    pub(super) fn read(
        &self,
        wanted: impl Fn(DwAt) -> bool,
        mut each: impl FnMut(&Attribute<Slice<'a>>) -> Result<(), gimli::Error>,
    ) -> Result<UnitOffset<usize>, gimli::Error> {
        let Self { unit, input, at, shape } = *self;
        let (encoding, abbreviations) = (unit.header.encoding(), &unit.abbreviations);
        let mut entries = EntriesRaw::new(input, encoding, abbreviations, at);
        for run in
            shape.abbreviation.attributes().chunk_by(|a, b| !wanted(a.name()) && !wanted(b.name()))
        {
            match run {
                [spec] if wanted(spec.name()) => each(&entries.read_attribute(*spec)?)?,
                unwanted => entries.skip_attributes(unwanted)?,
            }
        }
        Ok(entries.next_offset())
    }
}

impl<'a> EntryShape<'a> {
    fn new(unit: &Unit<'a>, abbreviation: &'a Abbreviation) -> Self {
        let specs = abbreviation.attributes();
        let has = |name| specs.iter().any(|spec| spec.name() == name);
        let size = |specs: &[gimli::AttributeSpecification]| -> Option<usize> {
            specs.iter().map(|spec| spec.size(&unit.header)).sum()
        };
        let sibling = specs.iter().position(|spec| spec.name() == gimli::DW_AT_sibling);
        let sibling = sibling.filter(|_| abbreviation.has_children()).map(|at| {
            match size(&specs[..at]).filter(|_| specs[at].form() == gimli::DW_FORM_ref4) {
                Some(bytes) => Sibling::Ref4(bytes),
                None => Sibling::Attribute(at),
            }
        });
        let tag = abbreviation.tag();
        Self {
            tag,
            is_call: matches!(tag, gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine),
            holds_code: holds_code(tag),
            has_children: abbreviation.has_children(),
            has_ranges: has(gimli::DW_AT_low_pc) || has(gimli::DW_AT_ranges),
            abbreviation,
            size: size(specs),
            sibling,
        }
    }
}

/// The offset that DW_AT_sibling states.
pub(super) fn sibling_of(attribute: &Attribute<Slice<'_>>) -> Option<UnitOffset<usize>> {
    match attribute.value() {
        gimli::AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

/// Whether functions or inlined calls can occur below entries of a tag (in C; the full walk
/// covers languages in which types hold functions).
fn holds_code(tag: DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_compile_unit
            | gimli::DW_TAG_partial_unit
            | gimli::DW_TAG_skeleton_unit
            | gimli::DW_TAG_namespace
            | gimli::DW_TAG_module
            | gimli::DW_TAG_lexical_block
            | gimli::DW_TAG_try_block
            | gimli::DW_TAG_catch_block
    )
}
