//! Debug information of variables and their types, written by gimli.

use gimli::write::{
    Address, AttributeValue, Dwarf, EndianVec, Expression, LineProgram, Range, RangeList, Sections,
    Unit, UnitEntryId,
};
use gimli::{DwAt, DwTag, Encoding, Format, RunTimeEndian, constants};
use jlctl_synthetic::elf::{Elf, Endian, Section, consts};

/// A unit that is being written.
pub(crate) struct Draft {
    pub(crate) unit: Unit,
}

impl Draft {
    /// A unit whose code is at `code..code + 0x100`.
    pub(crate) fn new(version: u16, code: u64) -> Self {
        let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
        let mut unit = Unit::new(encoding, LineProgram::none());
        let (begin, end) = (Address::Constant(code), Address::Constant(code + 0x100));
        let ranges = unit.ranges.add(RangeList(vec![Range::StartEnd { begin, end }]));
        let root = unit.root();
        unit.get_mut(root).set(constants::DW_AT_ranges, AttributeValue::RangeListRef(ranges));
        Self { unit }
    }

    pub(crate) fn add(
        &mut self,
        parent: Option<UnitEntryId>,
        tag: DwTag,
        name: &str,
    ) -> UnitEntryId {
        let parent = parent.unwrap_or_else(|| self.unit.root());
        let entry = self.unit.add(parent, tag);
        if !name.is_empty() {
            let name = AttributeValue::String(name.as_bytes().to_vec());
            self.unit.get_mut(entry).set(constants::DW_AT_name, name);
        }
        entry
    }

    pub(crate) fn refer(&mut self, entry: UnitEntryId, name: DwAt, to: UnitEntryId) {
        self.unit.get_mut(entry).set(name, AttributeValue::UnitRef(to));
    }

    pub(crate) fn number(&mut self, entry: UnitEntryId, name: DwAt, value: u64) {
        self.unit.get_mut(entry).set(name, AttributeValue::Udata(value));
    }

    /// An entry that has a type: a member, a variable, a typedef.
    pub(crate) fn typed(
        &mut self,
        parent: Option<UnitEntryId>,
        tag: DwTag,
        name: &str,
        r#type: UnitEntryId,
    ) -> UnitEntryId {
        let entry = self.add(parent, tag, name);
        self.refer(entry, constants::DW_AT_type, r#type);
        entry
    }

    /// A structure or union of members, each with its offset.
    pub(crate) fn record(
        &mut self,
        tag: DwTag,
        name: &str,
        size: u64,
        members: &[(&str, u64, UnitEntryId)],
    ) -> UnitEntryId {
        let record = self.add(None, tag, name);
        // A sibling attribute, with which readers skip to the next entry.
        self.unit.get_mut(record).set_sibling(true);
        self.number(record, constants::DW_AT_byte_size, size);
        for (name, offset, r#type) in members {
            let member = self.typed(Some(record), constants::DW_TAG_member, name, *r#type);
            self.number(member, constants::DW_AT_data_member_location, *offset);
        }
        record
    }

    pub(crate) fn structure(
        &mut self,
        name: &str,
        size: u64,
        members: &[(&str, u64, UnitEntryId)],
    ) -> UnitEntryId {
        self.record(constants::DW_TAG_structure_type, name, size, members)
    }

    pub(crate) fn array(&mut self, element: UnitEntryId, lengths: &[u64]) -> UnitEntryId {
        let array = self.typed(None, constants::DW_TAG_array_type, "", element);
        for length in lengths {
            let range = self.add(Some(array), constants::DW_TAG_subrange_type, "");
            self.number(range, constants::DW_AT_upper_bound, length - 1);
        }
        array
    }

    /// `struct static_key` and the two that wrap it, as the kernel has them.
    pub(crate) fn keys(&mut self) -> Keys {
        let int = self.add(None, constants::DW_TAG_base_type, "int");
        self.number(int, constants::DW_AT_byte_size, 4);
        let plain = self.structure("static_key", 16, &[("enabled", 0, int), ("type", 8, int)]);
        let on = self.structure("static_key_true", 16, &[("key", 0, plain)]);
        let off = self.structure("static_key_false", 16, &[("key", 0, plain)]);
        Keys { int, plain, on, off }
    }

    /// A variable at `address`, or a declaration if `None`.
    pub(crate) fn variable(
        &mut self,
        parent: Option<UnitEntryId>,
        name: &str,
        r#type: UnitEntryId,
        address: Option<u64>,
    ) -> UnitEntryId {
        let variable = self.typed(parent, constants::DW_TAG_variable, name, r#type);
        match address {
            Some(address) => self.locate(variable, address),
            None => {
                let flag = AttributeValue::FlagPresent;
                self.unit.get_mut(variable).set(constants::DW_AT_declaration, flag);
            }
        }
        variable
    }

    pub(crate) fn locate(&mut self, variable: UnitEntryId, address: u64) {
        let mut location = Expression::new();
        location.op_addr(Address::Constant(address));
        let location = AttributeValue::Exprloc(location);
        self.unit.get_mut(variable).set(constants::DW_AT_location, location);
    }
}

/// The types of a unit that uses static keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) int: UnitEntryId,
    pub(crate) plain: UnitEntryId,
    pub(crate) on: UnitEntryId,
    pub(crate) off: UnitEntryId,
}

/// A file that contains the debug information of `units` alone.
pub(crate) fn file(endian: Endian, units: Vec<Draft>) -> Vec<u8> {
    let mut dwarf = Dwarf::new();
    for draft in units {
        dwarf.units.add(draft.unit);
    }
    let order = match endian {
        Endian::Little => RunTimeEndian::Little,
        Endian::Big => RunTimeEndian::Big,
    };
    let mut written = Sections::new(EndianVec::new(order));
    dwarf.write(&mut written).expect("gimli writes what it was given");
    let mut sections = Vec::new();
    let collected: Result<(), ()> = written.for_each(|id, bytes| {
        if !bytes.slice().is_empty() {
            sections.push(Section::new(id.name(), bytes.slice().to_vec()));
        }
        Ok(())
    });
    collected.expect("collecting cannot fail");
    let elf = Elf {
        endian,
        is_64: true,
        machine: consts::EM_AARCH64,
        e_type: consts::ET_DYN,
        entry: 0,
        sections,
        symbols: Vec::new(),
        segments: Vec::new(),
    };
    elf.write()
}
