//! The types of keys and their holders in one unit, as a compiler describes the
//! kernel's (include/linux/jump_label.h, tracepoint-defs.h, dynamic_debug.h).

use crate::elf::Endian;
use crate::spec::{Descriptor, Holder};
use gimli::constants::{self as dw, DwAt, DwTag};
use gimli::write::{AttributeValue, StringTable, Unit, UnitEntryId};
use std::collections::BTreeMap;

/// Bits of the word that the bit-fields of a descriptor share.
const WORD_BITS: u64 = 32;

/// The types of a unit, each made when it is first asked for.
pub(super) struct Types<'a> {
    pub(super) unit: &'a mut Unit,
    pub(super) strings: &'a mut StringTable,
    endian: Endian,
    known: BTreeMap<String, UnitEntryId>,
}

impl<'a> Types<'a> {
    pub(super) fn new(unit: &'a mut Unit, strings: &'a mut StringTable, endian: Endian) -> Self {
        Self { unit, strings, endian, known: BTreeMap::new() }
    }

    /// The type of an object that holds `count` keys.
    pub(super) fn of_object(&mut self, holder: &Holder, count: u64) -> UnitEntryId {
        let element = self.holder(holder);
        if count == 1 { element } else { self.array(element, Some(count)) }
    }

    /// The same type where only its name is known.
    pub(super) fn incomplete(&mut self, holder: &Holder, count: u64) -> UnitEntryId {
        let element = self.declared(name(holder));
        if count == 1 { element } else { self.array(element, None) }
    }

    fn holder(&mut self, holder: &Holder) -> UnitEntryId {
        let name = name(holder);
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let entry = match holder {
            Holder::StaticKeyTrue | Holder::StaticKeyFalse => {
                let key = self.static_key();
                let entry = self.aggregate(dw::DW_TAG_structure_type, Some(name), 16);
                self.member(entry, Some("key"), key, 0);
                entry
            }
            Holder::Tracepoint => {
                let (text, key) = (self.text(), self.static_key());
                let entry = self.aggregate(dw::DW_TAG_structure_type, Some(name), holder.size());
                self.member(entry, Some("name"), text, 0);
                self.member(entry, Some("key"), key, holder.key_offset());
                entry
            }
            Holder::DynamicDebug(_) => self.descriptor(name, holder),
        };
        self.known.insert(name.to_owned(), entry);
        entry
    }

    fn descriptor(&mut self, name: &str, holder: &Holder) -> UnitEntryId {
        let text = self.text();
        let word = self.base("unsigned int", 4, dw::DW_ATE_unsigned);
        let on = self.holder(&Holder::StaticKeyTrue);
        let off = self.holder(&Holder::StaticKeyFalse);
        let key = self.aggregate(dw::DW_TAG_union_type, None, 16);
        self.member(key, Some("dd_key_true"), on, 0);
        self.member(key, Some("dd_key_false"), off, 0);
        let entry = self.aggregate(dw::DW_TAG_structure_type, Some(name), holder.size());
        for (member, offset) in [("modname", 0), ("function", 8), ("filename", 16), ("format", 24)]
        {
            self.member(entry, Some(member), text, offset);
        }
        for (member, first, bits) in [("lineno", 0, 18), ("class_id", 18, 6), ("flags", 24, 8)] {
            self.bit_field(entry, member, word, (first, bits));
        }
        self.member(entry, Some("key"), key, holder.key_offset());
        entry
    }

    fn static_key(&mut self) -> UnitEntryId {
        if let Some(known) = self.known.get("static_key") {
            return *known;
        }
        let int = self.base("int", 4, dw::DW_ATE_signed);
        let counter = self.aggregate(dw::DW_TAG_structure_type, None, 4);
        self.member(counter, Some("counter"), int, 0);
        let atomic = self.named(dw::DW_TAG_typedef, Some("atomic_t"));
        self.refer(atomic, counter);
        let word = self.base("long unsigned int", 8, dw::DW_ATE_unsigned);
        let alternatives = ["jump_entry", "static_key_mod"].map(|name| {
            let to = self.declared(name);
            self.pointer(to)
        });
        let union = self.aggregate(dw::DW_TAG_union_type, None, 8);
        self.member(union, Some("type"), word, 0);
        self.member(union, Some("entries"), alternatives[0], 0);
        self.member(union, Some("next"), alternatives[1], 0);
        let entry = self.aggregate(dw::DW_TAG_structure_type, Some("static_key"), 16);
        self.member(entry, Some("enabled"), atomic, 0);
        self.member(entry, None, union, 8);
        self.known.insert("static_key".to_owned(), entry);
        entry
    }

    /// `const char *`.
    fn text(&mut self) -> UnitEntryId {
        if let Some(known) = self.known.get("const char *") {
            return *known;
        }
        let char = self.base("char", 1, dw::DW_ATE_unsigned_char);
        let constant = self.named(dw::DW_TAG_const_type, None);
        self.refer(constant, char);
        let entry = self.pointer(constant);
        self.known.insert("const char *".to_owned(), entry);
        entry
    }

    fn base(&mut self, name: &str, size: u64, encoding: dw::DwAte) -> UnitEntryId {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let entry = self.aggregate(dw::DW_TAG_base_type, Some(name), size);
        self.set(entry, dw::DW_AT_encoding, AttributeValue::Encoding(encoding));
        self.known.insert(name.to_owned(), entry);
        entry
    }

    fn pointer(&mut self, to: UnitEntryId) -> UnitEntryId {
        let entry = self.aggregate(dw::DW_TAG_pointer_type, None, 8);
        self.refer(entry, to);
        entry
    }

    /// An array, of unknown length without `count`.
    fn array(&mut self, of: UnitEntryId, count: Option<u64>) -> UnitEntryId {
        let index = self.base("long unsigned int", 8, dw::DW_ATE_unsigned);
        let entry = self.named(dw::DW_TAG_array_type, None);
        self.refer(entry, of);
        let range = self.unit.add(entry, dw::DW_TAG_subrange_type);
        self.refer(range, index);
        if let Some(count) = count {
            self.set(range, dw::DW_AT_upper_bound, AttributeValue::Udata(count - 1));
        }
        entry
    }

    /// `struct name;`
    fn declared(&mut self, name: &str) -> UnitEntryId {
        let known = format!("struct {name};");
        if let Some(known) = self.known.get(&known) {
            return *known;
        }
        let entry = self.named(dw::DW_TAG_structure_type, Some(name));
        self.set(entry, dw::DW_AT_declaration, AttributeValue::FlagPresent);
        self.known.insert(known, entry);
        entry
    }

    fn aggregate(&mut self, tag: DwTag, name: Option<&str>, size: u64) -> UnitEntryId {
        let entry = self.named(tag, name);
        self.set(entry, dw::DW_AT_byte_size, AttributeValue::Udata(size));
        entry
    }

    fn member(&mut self, of: UnitEntryId, name: Option<&str>, r#type: UnitEntryId, offset: u64) {
        let entry = self.unit.add(of, dw::DW_TAG_member);
        self.name(entry, name);
        self.refer(entry, r#type);
        // Compilers leave the attribute out in unions.
        if self.unit.get(of).tag() == dw::DW_TAG_structure_type {
            let offset = AttributeValue::Udata(offset);
            self.set(entry, dw::DW_AT_data_member_location, offset);
        }
    }

    /// A bit-field that begins `first` bits after the word's first bit.
    fn bit_field(
        &mut self,
        of: UnitEntryId,
        name: &str,
        word: UnitEntryId,
        (first, bits): (u64, u64),
    ) {
        let entry = self.unit.add(of, dw::DW_TAG_member);
        self.name(entry, Some(name));
        self.refer(entry, word);
        self.set(entry, dw::DW_AT_bit_size, AttributeValue::Udata(bits));
        let (version, endian) = (self.unit.version(), self.endian);
        let mut set = |name, value| self.set(entry, name, AttributeValue::Udata(value));
        if version >= 5 {
            set(dw::DW_AT_data_bit_offset, Descriptor::BITS_OFFSET * 8 + first);
            return;
        }
        // DWARF 2 to 4 count from the high end of the word (DWARF 4, 5.5.6).
        let from_top = match endian {
            Endian::Little => WORD_BITS - first - bits,
            Endian::Big => first,
        };
        set(dw::DW_AT_byte_size, WORD_BITS / 8);
        set(dw::DW_AT_bit_offset, from_top);
        set(dw::DW_AT_data_member_location, Descriptor::BITS_OFFSET);
    }

    fn named(&mut self, tag: DwTag, name: Option<&str>) -> UnitEntryId {
        let entry = self.unit.add(self.unit.root(), tag);
        self.name(entry, name);
        entry
    }

    fn name(&mut self, entry: UnitEntryId, name: Option<&str>) {
        if let Some(name) = name {
            let name = self.strings.add(name);
            self.set(entry, dw::DW_AT_name, AttributeValue::StringRef(name));
        }
    }

    fn refer(&mut self, entry: UnitEntryId, r#type: UnitEntryId) {
        self.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(r#type));
    }

    fn set(&mut self, entry: UnitEntryId, name: DwAt, value: AttributeValue) {
        self.unit.get_mut(entry).set(name, value);
    }
}

/// The tag of the holder's structure.
fn name(holder: &Holder) -> &'static str {
    match holder {
        Holder::StaticKeyTrue => "static_key_true",
        Holder::StaticKeyFalse => "static_key_false",
        Holder::Tracepoint => "tracepoint",
        Holder::DynamicDebug(_) => "_ddebug",
    }
}
