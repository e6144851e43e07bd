//! A walk over the entries of a unit that can jump over subtrees.
//!
//! Most entries of a kernel are types and variables that are only passed over.
//! What passing over takes (size of the attributes, place of the sibling
//! reference) depends on the abbreviation alone, so it is worked out once for
//! each of them.

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
    /// By abbreviation code, as they are met.
    shapes: Vec<Option<EntryShape<'a>>>,
}

/// How much of a unit is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkMode {
    /// Subtrees that cannot hold a function of C are jumped over.
    Fast,
    /// Every entry is met or passed by itself, for what the fast walk did not
    /// find: functions inside functions, or inside types.
    Full,
}

/// A function or an inlined call that a walk has come to.
pub(super) struct Met<'a> {
    pub(super) at: UnitOffset<usize>,
    pub(super) depth: isize,
    /// Depth of the highest entry passed since the last one met: whatever was
    /// entered at this depth or below has been left.
    pub(super) lowest: isize,
    pub(super) shape: EntryShape<'a>,
}

/// What an abbreviation says of its entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryShape<'a> {
    pub(super) tag: DwTag,
    /// Whether entries say where their code is; declarations do not.
    pub(super) has_ranges: bool,
    abbreviation: &'a Abbreviation,
    /// Whether they are functions or inlined calls.
    pub(super) is_call: bool,
    /// Whether functions or inlined calls can stand below them.
    pub(super) holds_code: bool,
    has_children: bool,
    /// Size of all attributes in bytes, if it is the same for all entries.
    size: Option<usize>,
    /// The reference to the sibling, in entries with children.
    sibling: Option<Sibling>,
}

/// Where an entry's reference to its sibling stands.
#[derive(Debug, Clone, Copy)]
enum Sibling {
    /// A DW_FORM_ref4 so many bytes behind the abbreviation code: what compilers
    /// write, and read without a look at the attributes before it.
    Ref4(usize),
    /// The attribute of this index.
    Attribute(usize),
}

/// Abbreviation codes are dense; those beyond are worked out each time.
const REMEMBERED: usize = 1 << 12;

impl<'a> Cursor<'a> {
    /// At the entry at `at`, whose depth is called `depth`; at the root if `None`.
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

    /// Passes over entries up to the next function or inlined call deeper than
    /// `floor`, and reads its abbreviation; `None` behind the last.
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

    /// Passes over entries up to the next that has `tag`, and reads its
    /// abbreviation; `None` behind the last.  A subtree of which is known where
    /// it ends is entered only if `enters` says so of its root and its offsets.
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

    /// Reads an abbreviation code, and answers where its shape stands; `None`
    /// for the end of a sibling list, which this goes behind.
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
        // No abbreviation has the code 0: its place serves those that are not
        // remembered.
        let index = usize::try_from(code).ok().filter(|code| *code < REMEMBERED).unwrap_or(0);
        self.shapes.resize(self.shapes.len().max(index + 1), None);
        self.shapes[index] = Some(EntryShape::new(self.unit, abbreviation));
        Ok(index)
    }

    /// The attributes of the entry, to be read now or later.
    pub(super) fn attributes(&self, shape: EntryShape<'a>) -> Attributes<'a> {
        Attributes { unit: self.unit, input: self.input, at: self.offset(), shape }
    }

    /// Goes on at `offset`, behind the attributes that were read.
    pub(super) fn go_to(&mut self, offset: UnitOffset<usize>) -> Result<(), gimli::Error> {
        self.input.skip(offset.0.saturating_sub(self.offset().0))
    }

    /// Skips the attributes of the entry and, where it says where its sibling
    /// is, its children too.
    pub(super) fn skip_with_children(
        &mut self,
        shape: EntryShape<'a>,
        depth: isize,
    ) -> Result<(), gimli::Error> {
        // Whatever follows the reference is behind the jump.
        match self.sibling(shape)? {
            None => self.skip_attributes(shape),
            sibling => self.jump(sibling, depth),
        }
    }

    /// The sibling of the entry whose abbreviation was just read, if the entry
    /// has children, names one, and it lies behind the reference.
    fn sibling(&self, shape: EntryShape<'a>) -> Result<Option<UnitOffset<usize>>, gimli::Error> {
        let (sibling, behind) = match shape.sibling {
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
        Ok(sibling.filter(|sibling| sibling.0 > behind))
    }

    pub(super) fn skip_attributes(&mut self, shape: EntryShape<'a>) -> Result<(), gimli::Error> {
        if let Some(size) = shape.size {
            return self.input.skip(size);
        }
        let mut entries = self.entries();
        entries.skip_attributes(shape.abbreviation.attributes())?;
        self.go_on_behind(&entries)
    }

    /// Goes to an entry's sibling, `depth` being the entry's own; stays where
    /// it is (at the first child) without one, or if it would not lead forward.
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

    /// gimli's own reader of attributes, at the present place.
    fn entries(&self) -> EntriesRaw<'a, Slice<'a>> {
        let unit = self.unit;
        EntriesRaw::new(self.input, unit.header.encoding(), &unit.abbreviations, self.offset())
    }

    fn go_on_behind(&mut self, entries: &EntriesRaw<'a, Slice<'a>>) -> Result<(), gimli::Error> {
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
    /// Reads those whose names are `wanted` and passes over the others; the
    /// offset behind them all.
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

/// Where DW_AT_sibling leads.
pub(super) fn sibling_of(attribute: &Attribute<Slice<'_>>) -> Option<UnitOffset<usize>> {
    match attribute.value() {
        gimli::AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

/// Whether entries of a tag can hold functions or inlined calls below them (in
/// C; the full walk covers languages where types can).
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
