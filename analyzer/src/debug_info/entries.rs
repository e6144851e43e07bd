//! Reads single entries of variables, types and members, and follows their references.

use super::budget::{Purse, UnitFailure};
use super::dwarf::{Dwarf, Slice, Unit, UnitRef, UnitStart};
use super::units::{REFERENCES, Reference, UnitStarts};
use foldhash::{HashMap, HashMapExt as _};
use gimli::{AttributeValue, DebugInfoOffset, DwTag, EntriesRaw, Operation, UnitOffset};

/// Most units that are opened for references from one unit (link-time optimisation).
const UNITS: usize = 64;

/// The position of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EntryId {
    /// 0 is the unit that is being read; others are units opened for references.
    unit: usize,
    at: usize,
}

impl EntryId {
    /// An entry of the unit that is being read.
    pub(super) fn own(at: UnitOffset<usize>) -> Self {
        Self { unit: 0, at: at.0 }
    }

    /// Whether it is in the unit that is being read.
    pub(super) fn is_own(self) -> bool {
        self.unit == 0
    }
}

/// The attributes of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct DebugEntry<'a> {
    pub(super) id: EntryId,
    pub(super) tag: DwTag,
    pub(super) name: Option<Slice<'a>>,
    pub(super) byte_size: Option<u64>,
    /// Offset of a member in its type, in bytes.
    pub(super) offset: u64,
    /// Number of elements of a dimension; `None` if it is not stated.
    pub(super) count: Option<u64>,
    pub(super) is_declaration: bool,
    /// Index of the file of the declaration in the line program of its unit.
    pub(super) file: Option<u64>,
    pub(super) line: Option<u32>,
    r#type: Option<Reference>,
    origin: Option<Reference>,
    has_children: bool,
}

/// Reads entries of a unit, and of other units that references lead to.
pub(super) struct Entries<'a, 'b, 'c> {
    dwarf: &'a Dwarf<'a>,
    starts: &'a UnitStarts,
    unit: &'a Unit<'a>,
    others: Vec<(UnitStart, Unit<'a>)>,
    /// Definitions of types by their declarations.
    definitions: HashMap<EntryId, DebugEntry<'a>>,
    purse: &'b mut Purse<'c>,
}

impl<'a, 'b, 'c> Entries<'a, 'b, 'c> {
    pub(super) fn new(
        dwarf: &'a Dwarf<'a>,
        starts: &'a UnitStarts,
        unit: &'a Unit<'a>,
        purse: &'b mut Purse<'c>,
    ) -> Self {
        Self { dwarf, starts, unit, others: Vec::new(), definitions: HashMap::new(), purse }
    }

    /// Takes one unit of work.
    pub(super) fn spend(&mut self) -> Result<(), UnitFailure> {
        Ok(self.purse.spend()?)
    }

    /// The unit of an entry.
    pub(super) fn unit_of(&self, id: EntryId) -> UnitRef<'_, 'a> {
        unit_of(self.dwarf, self.unit, &self.others, id)
    }

    /// The entry at `id`; `None` if there is none.
    pub(super) fn read(&mut self, id: EntryId) -> Result<Option<DebugEntry<'a>>, UnitFailure> {
        self.spend()?;
        let unit = self.unit_of(id);
        read_next(unit, id.unit, &mut unit.entries_raw(Some(UnitOffset(id.at)))?)
    }

    /// The direct children of `parent` that have one of `tags`.
    pub(super) fn children(
        &mut self,
        parent: &DebugEntry<'a>,
        tags: &[DwTag],
    ) -> Result<Vec<DebugEntry<'a>>, UnitFailure> {
        let mut found = Vec::new();
        if !parent.has_children {
            return Ok(found);
        }
        let unit = unit_of(self.dwarf, self.unit, &self.others, parent.id);
        let mut entries = unit.entries_raw(Some(UnitOffset(parent.id.at)))?;
        read_next(unit, parent.id.unit, &mut entries)?;
        while !entries.is_empty() && entries.next_depth() > 0 {
            self.purse.spend()?;
            let is_child = entries.next_depth() == 1;
            let mut peeked = entries.clone();
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            if is_child && tags.contains(&abbreviation.tag()) {
                found.extend(read_next(unit, parent.id.unit, &mut peeked)?);
            }
            entries.skip_attributes(abbreviation.attributes())?;
        }
        Ok(found)
    }

    /// The entry of the type of `entry`; `None` for void, and for a type that cannot be read
    /// (in a type unit).
    pub(super) fn type_of(
        &mut self,
        entry: &DebugEntry<'a>,
    ) -> Result<Option<DebugEntry<'a>>, UnitFailure> {
        self.follow(entry.id.unit, entry.r#type)
    }

    /// `entry`, followed by the chain of its specifications and abstract origins.
    pub(super) fn with_origins(
        &mut self,
        entry: DebugEntry<'a>,
    ) -> Result<Vec<DebugEntry<'a>>, UnitFailure> {
        let mut chain = vec![entry];
        while chain.len() < REFERENCES
            && let Some(last) = chain.last().copied()
            && let Some(origin) = self.follow(last.id.unit, last.origin)?
        {
            chain.push(origin);
        }
        Ok(chain)
    }

    /// The underlying type, without typedefs and qualifiers.
    pub(super) fn peel(
        &mut self,
        mut entry: DebugEntry<'a>,
    ) -> Result<Option<DebugEntry<'a>>, UnitFailure> {
        for _ in 0..REFERENCES {
            if entry.tag != gimli::DW_TAG_typedef && !is_qualifier(entry.tag) {
                return Ok(Some(entry));
            }
            let Some(next) = self.type_of(&entry)? else { return Ok(None) };
            entry = next;
        }
        Ok(None)
    }

    /// The definition, in the same unit, of a type that is only declared; the declaration
    /// itself if the unit has no definition.
    pub(super) fn definition(
        &mut self,
        declaration: DebugEntry<'a>,
    ) -> Result<DebugEntry<'a>, UnitFailure> {
        if let Some(known) = self.definitions.get(&declaration.id) {
            return Ok(*known);
        }
        let mut definition = declaration;
        let index = declaration.id.unit;
        let unit = unit_of(self.dwarf, self.unit, &self.others, declaration.id);
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            self.purse.spend()?;
            let mut peeked = entries.clone();
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            if abbreviation.tag() == declaration.tag
                && let Some(found) = read_next(unit, index, &mut peeked)?
                && !found.is_declaration
                && found.name == declaration.name
            {
                definition = found;
                break;
            }
            entries.skip_attributes(abbreviation.attributes())?;
        }
        self.definitions.insert(declaration.id, definition);
        Ok(definition)
    }

    fn follow(
        &mut self,
        unit: usize,
        reference: Option<Reference>,
    ) -> Result<Option<DebugEntry<'a>>, UnitFailure> {
        let id = match reference {
            None => None,
            Some(Reference::Here(at)) => Some(EntryId { unit, at }),
            Some(Reference::Anywhere(at)) => self.anywhere(DebugInfoOffset(at))?,
        };
        id.map_or(Ok(None), |id| self.read(id))
    }

    /// The position of an entry of any unit; opens the unit if necessary.
    fn anywhere(&mut self, reference: UnitStart) -> Result<Option<EntryId>, UnitFailure> {
        if let Some(at) = reference.to_unit_offset(&self.unit.header) {
            return Ok(Some(EntryId { unit: 0, at: at.0 }));
        }
        let Some(start) = self.starts.unit_of(self.dwarf, reference) else { return Ok(None) };
        let known = self.others.iter().position(|(other, _)| *other == start);
        let index = match known {
            Some(index) => index,
            None if self.others.len() == UNITS => return Ok(None),
            None => {
                let unit = self.dwarf.unit(self.dwarf.unit_header(start)?)?;
                self.others.push((start, unit));
                self.others.len() - 1
            }
        };
        let at =
            self.others.get(index).and_then(|(_, unit)| reference.to_unit_offset(&unit.header));
        Ok(at.map(|at| EntryId { unit: index + 1, at: at.0 }))
    }
}

/// The unit of an entry.  A function of its own, because [`Entries`] lends its purse
/// separately.
fn unit_of<'b, 'a>(
    dwarf: &'b Dwarf<'a>,
    own: &'b Unit<'a>,
    others: &'b [(UnitStart, Unit<'a>)],
    id: EntryId,
) -> UnitRef<'b, 'a> {
    let other = id.unit.checked_sub(1).and_then(|index| others.get(index));
    UnitRef::new(dwarf, other.map_or(own, |(_, unit)| unit))
}

/// Whether a tag only qualifies a type.
pub(super) fn is_qualifier(tag: DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type
    )
}

fn read_next<'a>(
    unit: UnitRef<'_, 'a>,
    unit_index: usize,
    entries: &mut EntriesRaw<'_, Slice<'a>>,
) -> Result<Option<DebugEntry<'a>>, UnitFailure> {
    let id = EntryId { unit: unit_index, at: entries.next_offset().0 };
    let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(None) };
    let mut entry = DebugEntry {
        id,
        tag: abbreviation.tag(),
        name: None,
        byte_size: None,
        offset: 0,
        count: None,
        is_declaration: false,
        file: None,
        line: None,
        r#type: None,
        origin: None,
        has_children: abbreviation.has_children(),
    };
    for spec in abbreviation.attributes() {
        entry.take(unit, &entries.read_attribute(*spec)?);
    }
    Ok(Some(entry))
}

impl<'a> DebugEntry<'a> {
    fn take(&mut self, unit: UnitRef<'_, 'a>, attribute: &gimli::Attribute<Slice<'a>>) {
        let number = || attribute.udata_value();
        match attribute.name() {
            gimli::DW_AT_name => self.name = unit.attr_string(attribute.value()).ok(),
            gimli::DW_AT_type => self.r#type = Reference::of(&attribute.value()),
            gimli::DW_AT_specification | gimli::DW_AT_abstract_origin => {
                self.origin = Reference::of(&attribute.value());
            }
            gimli::DW_AT_byte_size => self.byte_size = number(),
            gimli::DW_AT_data_member_location => {
                self.offset = member_offset(unit, attribute).unwrap_or(u64::MAX);
            }
            gimli::DW_AT_data_bit_offset => {
                self.offset = number().map_or(u64::MAX, |bits| bits / 8);
            }
            gimli::DW_AT_count => self.count = number(),
            gimli::DW_AT_upper_bound => {
                self.count = self.count.or(number().and_then(|bound| bound.checked_add(1)));
            }
            gimli::DW_AT_declaration => {
                self.is_declaration = attribute.value() == AttributeValue::Flag(true);
            }
            gimli::DW_AT_decl_file => {
                if let AttributeValue::FileIndex(file) = attribute.value() {
                    // Before DWARF 5 file 0 meant "no file"; since DWARF 5 it is a file.
                    self.file = (file > 0 || unit.header.version() >= 5).then_some(file);
                }
            }
            gimli::DW_AT_decl_line => {
                self.line = number().and_then(|line| u32::try_from(line).ok());
            }
            _ => {}
        }
    }
}

/// A constant, or before DWARF 3 an expression that adds a constant.
fn member_offset(unit: UnitRef<'_, '_>, attribute: &gimli::Attribute<Slice<'_>>) -> Option<u64> {
    attribute.udata_value().or_else(|| {
        let mut operations = attribute.exprloc_value()?.operations(unit.encoding());
        match operations.next() {
            Ok(Some(Operation::PlusConstant { value })) => Some(value),
            _ => None,
        }
    })
}
