//! A walk over the entries of a unit that can jump over subtrees.

use super::{Slice, Unit};
use gimli::{Abbreviation, Attribute, EntriesRaw, UnitOffset};

/// Position in a unit's entries, with the depth in its tree.
pub(super) struct Cursor<'a> {
    unit: &'a Unit<'a>,
    entries: EntriesRaw<'a, Slice<'a>>,
    /// Depth at which `entries` started.
    base: isize,
}

impl<'a> Cursor<'a> {
    /// At the entry at `at`, whose depth is called `depth`; at the root if `None`.
    pub(super) fn new(
        unit: &'a Unit<'a>,
        at: Option<UnitOffset<usize>>,
        depth: isize,
    ) -> Result<Self, gimli::Error> {
        Ok(Self { unit, entries: unit.entries_raw(at)?, base: depth })
    }

    /// Depth of the next entry.
    pub(super) fn depth(&self) -> isize {
        self.base + self.entries.next_depth()
    }

    /// Offset of the next entry.
    pub(super) fn offset(&self) -> UnitOffset<usize> {
        self.entries.next_offset()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads the next entry's abbreviation; `None` is the end of a sibling list.
    pub(super) fn abbreviation(&mut self) -> Result<Option<&'a Abbreviation>, gimli::Error> {
        self.entries.read_abbreviation()
    }

    /// Reads all attributes of the entry.
    pub(super) fn attributes(
        &mut self,
        abbreviation: &Abbreviation,
        mut each: impl FnMut(&Attribute<Slice<'a>>) -> Result<(), gimli::Error>,
    ) -> Result<(), gimli::Error> {
        for spec in abbreviation.attributes() {
            let attribute = self.entries.read_attribute(*spec)?;
            each(&attribute)?;
        }
        Ok(())
    }

    /// Skips the attributes of the entry and, where it says where its sibling
    /// is, its children too.
    pub(super) fn skip_with_children(
        &mut self,
        abbreviation: &Abbreviation,
        depth: isize,
    ) -> Result<(), gimli::Error> {
        let specs = abbreviation.attributes();
        let sibling = specs.iter().position(|spec| spec.name() == gimli::DW_AT_sibling);
        let Some(at) = sibling.filter(|_| abbreviation.has_children()) else {
            return self.skip_attributes(abbreviation);
        };
        // Whatever follows the reference is behind the jump.
        self.entries.skip_attributes(&specs[..at])?;
        let sibling = sibling_of(&self.entries.read_attribute(specs[at])?);
        let leads_forward = sibling.is_some_and(|sibling| sibling.0 > self.offset().0);
        if leads_forward {
            self.jump(sibling, depth)
        } else {
            self.entries.skip_attributes(&specs[at + 1..])
        }
    }

    pub(super) fn skip_attributes(
        &mut self,
        abbreviation: &Abbreviation,
    ) -> Result<(), gimli::Error> {
        self.entries.skip_attributes(abbreviation.attributes())
    }

    /// Goes to an entry's sibling, `depth` being the entry's own; stays where
    /// it is (at the first child) without one, or if it would not lead forward.
    pub(super) fn jump(
        &mut self,
        sibling: Option<UnitOffset<usize>>,
        depth: isize,
    ) -> Result<(), gimli::Error> {
        if let Some(sibling) = sibling.filter(|sibling| sibling.0 > self.offset().0) {
            *self = Self::new(self.unit, Some(sibling), depth)?;
        }
        Ok(())
    }
}

/// Where DW_AT_sibling leads.
pub(super) fn sibling_of(attribute: &Attribute<Slice<'_>>) -> Option<UnitOffset<usize>> {
    match attribute.value() {
        gimli::AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}
