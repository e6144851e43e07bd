//! Names of entries, through their abstract origins and specifications.

use super::budget::{Purse, UnitFailure};
use super::dwarf::{Dwarf, Slice, Unit, UnitRef};
use super::units::{REFERENCES, Reference, UnitStarts};
use foldhash::{HashMap, HashMapExt as _};
use gimli::{AttributeValue, DebugInfoOffset, DwLang, UnitOffset};

/// Resolves and caches names within one unit.
pub(super) struct EntryNames<'a> {
    dwarf: &'a Dwarf<'a>,
    starts: &'a UnitStarts,
    unit: &'a Unit<'a>,
    language: Option<DwLang>,
    /// By the target of the reference.
    known: HashMap<Reference, Option<NameId>>,
    all: Vec<String>,
}

/// Index into the names of a unit ([`EntryNames::into_all`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameId(u32);

impl NameId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The attributes of an entry that lead to its name.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct NameAttributes<'a> {
    linkage: Option<AttributeValue<Slice<'a>>>,
    plain: Option<AttributeValue<Slice<'a>>>,
    origin: Option<AttributeValue<Slice<'a>>>,
}

impl<'a> NameAttributes<'a> {
    /// Takes an attribute if it is one of these.
    pub(super) fn take(&mut self, attribute: &gimli::Attribute<Slice<'a>>) {
        let slot = match attribute.name() {
            gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => &mut self.linkage,
            gimli::DW_AT_name => &mut self.plain,
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => &mut self.origin,
            _ => return,
        };
        *slot = Some(attribute.value());
    }
}

impl<'a> EntryNames<'a> {
    pub(super) fn new(
        dwarf: &'a Dwarf<'a>,
        starts: &'a UnitStarts,
        unit: &'a Unit<'a>,
        language: Option<DwLang>,
    ) -> Self {
        Self { dwarf, starts, unit, language, known: HashMap::new(), all: Vec::new() }
    }

    /// The demangled name of the entry that has `attributes`; `None` if it has no name.
    pub(super) fn resolve(
        &mut self,
        attributes: NameAttributes<'a>,
        purse: &mut Purse<'_>,
    ) -> Result<Option<NameId>, UnitFailure> {
        let origin = if attributes.is_named() { None } else { attributes.origin() };
        if let Some(known) = origin.and_then(|origin| self.known.get(&origin)) {
            return Ok(*known);
        }
        let name = self.follow(attributes, purse)?.map(|name| {
            self.all.push(name);
            NameId(u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(origin) = origin {
            self.known.insert(origin, name);
        }
        Ok(name)
    }

    /// All resolved names, by [`NameId::index`].
    pub(super) fn into_all(self) -> Vec<String> {
        self.all
    }

    /// Follows references until an entry has a name.
    fn follow(
        &self,
        mut attributes: NameAttributes<'a>,
        purse: &mut Purse<'_>,
    ) -> Result<Option<String>, UnitFailure> {
        // A reference into another unit (LTO, imported units) opens that unit.
        let mut elsewhere: Option<Unit<'a>> = None;
        for _ in 0..REFERENCES {
            purse.spend()?;
            let unit = elsewhere.as_ref().unwrap_or(self.unit);
            if let Some(name) = attributes.name(UnitRef::new(self.dwarf, unit)) {
                return Ok(Some(self.demangle(name)));
            }
            let at = match attributes.origin() {
                Some(Reference::Here(at)) => UnitOffset(at),
                Some(Reference::Anywhere(reference)) => {
                    let reference = DebugInfoOffset(reference);
                    let Some(start) = self.starts.unit_of(self.dwarf, reference) else {
                        return Ok(None);
                    };
                    let header = self.dwarf.unit_header(start)?;
                    let Some(at) = reference.to_unit_offset(&header) else { return Ok(None) };
                    elsewhere = Some(self.dwarf.unit(header)?);
                    at
                }
                None => return Ok(None),
            };
            attributes = NameAttributes::read(elsewhere.as_ref().unwrap_or(self.unit), at)?;
        }
        Ok(None)
    }

    fn demangle(&self, name: Slice<'_>) -> String {
        let name = name.to_string_lossy();
        self.language
            .and_then(|language| addr2line::demangle(&name, language))
            .unwrap_or_else(|| name.into_owned())
    }
}

impl<'a> NameAttributes<'a> {
    fn read(unit: &Unit<'a>, at: UnitOffset<usize>) -> Result<Self, gimli::Error> {
        let mut attributes = Self::default();
        let mut entries = unit.entries_raw(Some(at))?;
        if let Some(abbreviation) = entries.read_abbreviation()? {
            for spec in abbreviation.attributes() {
                attributes.take(&entries.read_attribute(*spec)?);
            }
        }
        Ok(attributes)
    }

    fn is_named(&self) -> bool {
        self.linkage.is_some() || self.plain.is_some()
    }

    fn name(&self, unit: UnitRef<'_, 'a>) -> Option<Slice<'a>> {
        [self.linkage, self.plain]
            .into_iter()
            .flatten()
            .find_map(|name| unit.attr_string(name).ok())
    }

    fn origin(&self) -> Option<Reference> {
        Reference::of(&self.origin?)
    }
}
