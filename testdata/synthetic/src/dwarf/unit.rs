//! One compilation unit: its line program, its functions, and the abstract and concrete
//! instances of the functions inlined into them.

use super::function::{COMP_DIR, Function, SiteLines};
use super::types::Types;
use super::variables::{self, Context, Variable};
use crate::elf::Endian;
use crate::spec::InlineFrame;
use gimli::write::{
    Address, AttributeValue, Dwarf, FileId, LineProgram, LineString, LineStringTable,
    Range as DwRange, RangeList, StringTable, Unit, UnitEntryId,
};
use gimli::{Encoding, LineEncoding, constants};
use std::collections::BTreeMap;
use std::ops::Range;

const PRODUCER: &str = "jlctl-testdata";
const SITE_COLUMN: u64 = 2;
const CALL_COLUMN: u64 = 6;

/// A unit under construction.
struct Draft<'a> {
    unit: Unit,
    strings: &'a mut StringTable,
    line_strings: &'a mut LineStringTable,
    encoding: Encoding,
    /// Abstract instances by name.
    inlined: BTreeMap<String, UnitEntryId>,
    /// Functions by name.
    functions: BTreeMap<String, UnitEntryId>,
}

/// An address, which is a relocation in a module's file.
fn symbolic(address: u64) -> Address {
    Address::Symbol { symbol: 0, addend: address.cast_signed() }
}

/// Adds the unit of `file` to `dwarf`.
pub(super) fn add(
    dwarf: &mut Dwarf,
    (endian, encoding): (Endian, Encoding),
    file: &str,
    functions: &[&Function],
    variables: &[Variable],
) {
    let program = line_program(&mut dwarf.line_strings, encoding, file);
    let mut draft = Draft {
        unit: Unit::new(encoding, program),
        strings: &mut dwarf.strings,
        line_strings: &mut dwarf.line_strings,
        encoding,
        inlined: BTreeMap::new(),
        functions: BTreeMap::new(),
    };
    draft.describe_unit(file, &ranges(functions));
    // Abstract instances come first, so that every reference points backwards.
    for site in functions.iter().flat_map(|function| &function.sites) {
        site.frames.iter().for_each(|frame| draft.add_abstract(frame));
    }
    for function in functions {
        draft.add_function(function);
        draft.add_rows(function);
    }
    draft.add_variables(endian, file, variables);
    let unit = draft.unit;
    dwarf.units.add(unit);
}

/// The address ranges of `functions`, adjacent ones joined.
pub(super) fn ranges(functions: &[&Function]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = functions.iter().map(|f| f.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, joined| {
        let adjacent = next.start == joined.end;
        if adjacent {
            joined.end = next.end;
        }
        adjacent
    });
    ranges
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}

fn line_program(strings: &mut LineStringTable, encoding: Encoding, file: &str) -> LineProgram {
    let (directory, name) = split(file);
    let mut text = |text: &str| LineString::new(text, encoding, strings);
    let (comp_dir, directory, name) = (text(COMP_DIR), text(directory), text(name));
    LineProgram::new(encoding, LineEncoding::default(), comp_dir, Some(directory), name, None)
}

impl Draft<'_> {
    fn set(&mut self, entry: UnitEntryId, name: constants::DwAt, value: AttributeValue) {
        self.unit.get_mut(entry).set(name, value);
    }

    fn set_text(&mut self, entry: UnitEntryId, name: constants::DwAt, text: &str) {
        let text = self.strings.add(text);
        self.set(entry, name, AttributeValue::StringRef(text));
    }

    fn describe_unit(&mut self, file: &str, ranges: &[Range<u64>]) {
        let root = self.unit.root();
        self.set_text(root, constants::DW_AT_producer, PRODUCER);
        self.set(root, constants::DW_AT_language, AttributeValue::Language(constants::DW_LANG_C11));
        self.set_text(root, constants::DW_AT_name, file);
        self.set_text(root, constants::DW_AT_comp_dir, COMP_DIR);
        if let [only] = ranges {
            self.set_range(root, only);
            return;
        }
        if ranges.is_empty() {
            return;
        }
        let list = ranges.iter().map(|range| DwRange::StartEnd {
            begin: symbolic(range.start),
            end: symbolic(range.end),
        });
        let list = self.unit.ranges.add(RangeList(list.collect()));
        self.set(root, constants::DW_AT_ranges, AttributeValue::RangeListRef(list));
    }

    fn set_range(&mut self, entry: UnitEntryId, range: &Range<u64>) {
        let low = AttributeValue::Address(symbolic(range.start));
        self.set(entry, constants::DW_AT_low_pc, low);
        let length = AttributeValue::Data8(range.end - range.start);
        self.set(entry, constants::DW_AT_high_pc, length);
    }

    fn file(&mut self, path: &str) -> FileId {
        let (directory, name) = split(path);
        let directory = LineString::new(directory, self.encoding, self.line_strings);
        let name = LineString::new(name, self.encoding, self.line_strings);
        let directory = self.unit.line_program.add_directory(directory);
        self.unit.line_program.add_file(name, directory, None)
    }

    fn declare(&mut self, entry: UnitEntryId, name: &str, file: &str, line: u32) {
        self.set_text(entry, constants::DW_AT_name, name);
        let file = self.file(file);
        self.set(entry, constants::DW_AT_decl_file, AttributeValue::FileIndex(Some(file)));
        self.set(entry, constants::DW_AT_decl_line, AttributeValue::Udata(line.into()));
        self.set(entry, constants::DW_AT_prototyped, AttributeValue::FlagPresent);
    }

    fn add_abstract(&mut self, frame: &InlineFrame) {
        if self.inlined.contains_key(&frame.function) {
            return;
        }
        let entry = self.unit.add(self.unit.root(), constants::DW_TAG_subprogram);
        self.declare(entry, &frame.function, &frame.file, frame.line);
        let inline = AttributeValue::Inline(constants::DW_INL_declared_inlined);
        self.set(entry, constants::DW_AT_inline, inline);
        self.inlined.insert(frame.function.clone(), entry);
    }

    fn add_function(&mut self, function: &Function) {
        let entry = self.unit.add(self.unit.root(), constants::DW_TAG_subprogram);
        self.declare(entry, &function.name, &function.file, function.line);
        if function.external {
            self.set(entry, constants::DW_AT_external, AttributeValue::FlagPresent);
        }
        self.set_range(entry, &function.range);
        self.functions.insert(function.name.clone(), entry);
        for site in &function.sites {
            self.add_chain(entry, function, site);
        }
    }

    fn add_variables(&mut self, endian: Endian, file: &str, variables: &[Variable]) {
        let of_unit = |variable: &Variable| {
            variable.spec.file == file || variable.spec.declared_in.iter().any(|f| f == file)
        };
        if variables.iter().any(of_unit) {
            let own = self.file(file);
            let mut types = Types::new(&mut self.unit, self.strings, endian);
            let context = Context { file, own, functions: &self.functions };
            variables::add(&mut types, &context, variables);
        }
    }

    /// The nest of inlined subroutines at a site.
    fn add_chain(&mut self, function_entry: UnitEntryId, function: &Function, site: &SiteLines) {
        let mut parent = function_entry;
        let mut caller = (function.file.as_str(), site.line);
        for frame in &site.frames {
            let entry = self.unit.add(parent, constants::DW_TAG_inlined_subroutine);
            let origin = self.inlined[&frame.function];
            self.set(entry, constants::DW_AT_abstract_origin, AttributeValue::UnitRef(origin));
            self.set_range(entry, &site.range);
            let file = self.file(caller.0);
            self.set(entry, constants::DW_AT_call_file, AttributeValue::FileIndex(Some(file)));
            self.set(entry, constants::DW_AT_call_line, AttributeValue::Udata(caller.1.into()));
            self.set(entry, constants::DW_AT_call_column, AttributeValue::Udata(CALL_COLUMN));
            parent = entry;
            caller = (frame.file.as_str(), frame.call_line());
        }
    }

    /// The function's rows, one sequence.
    fn add_rows(&mut self, function: &Function) {
        let own = self.file(&function.file);
        let start = function.range.start;
        self.unit.line_program.begin_sequence(Some(symbolic(start)));
        let first = function.sites.first().map(|site| site.range.start);
        if first != Some(start) {
            self.row(0, own, function.line, 0);
        }
        for (index, site) in function.sites.iter().enumerate() {
            let wrapper = site.frames.last().expect("a site has its wrapper");
            let (file, line) = (self.file(&wrapper.file), wrapper.call_line());
            self.row(site.range.start - start, file, line, SITE_COLUMN);
            let after = site.range.end;
            let next = function.sites.get(index + 1).map(|next| next.range.start);
            if after < function.range.end && next != Some(after) {
                self.row(after - start, own, site.line + 1, SITE_COLUMN);
            }
        }
        self.unit.line_program.end_sequence(function.range.end - start);
    }

    fn row(&mut self, offset: u64, file: FileId, line: u32, column: u64) {
        let row = self.unit.line_program.row();
        row.address_offset = offset;
        row.file = file;
        row.line = line.into();
        row.column = column;
        self.unit.line_program.generate_row();
    }
}
