//! Paths to the keys in objects, through types written for these tests.

use super::types::{Draft, file};
use gimli::constants;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::{DebugInfo, ObjectPaths, ObjectQuery};
use jlctl_analyzer::image::Image;
use jlctl_synthetic::elf::Endian;
use std::path::Path;

const CODE: u64 = 0xffff_8000_8000_0000;
const OTHER_CODE: u64 = 0xffff_8000_8001_0000;
const DATA: u64 = 0xffff_8000_8010_0000;
const SITE: &[Svma] = &[Svma(CODE + 4)];

fn query(name: &str, address: u64, offset: u64) -> ObjectQuery<'_> {
    ObjectQuery { name, address: Svma(address), offset, sites: SITE, initially_true: None }
}

fn ask(bytes: &[u8], queries: &[ObjectQuery<'_>]) -> ObjectPaths {
    let sections = Image::parse_sections(bytes).expect("the sections can be read");
    let debug_info = DebugInfo::new(&sections).expect("there is debug information");
    debug_info.object_paths(queries, Path::new("/nonexistent/image"))
}

/// The path and type of each query; asserts that there are no faults.
fn paths(bytes: &[u8], queries: &[ObjectQuery<'_>]) -> Vec<Option<(String, Option<String>)>> {
    let found = ask(bytes, queries);
    assert_eq!(found.faults, []);
    found.paths.into_iter().map(|path| path.map(|path| (path.path, path.object_type))).collect()
}

fn path(path: &str, object_type: &str) -> Option<(String, Option<String>)> {
    Some((path.to_owned(), Some(object_type.to_owned())))
}

/// DWARF 4 and 5 in both byte orders.
fn each_format(check: impl Fn(u16, Endian)) {
    for version in [4, 5] {
        check(version, Endian::Little);
        check(version, Endian::Big);
    }
}

#[test]
fn members_elements_and_the_object_itself_are_named() {
    each_format(|version, endian| {
        let mut draft = Draft::new(version, CODE);
        let keys = draft.keys();
        let inner = draft.structure("", 24, &[("", 0, keys.int), ("inner", 8, keys.plain)]);
        let holder = draft.structure(
            "holder",
            80,
            &[
                ("number", 0, keys.int),
                ("key", 8, keys.plain),
                ("", 24, inner),
                ("last", 64, keys.off),
            ],
        );
        let constant = draft.typed(None, constants::DW_TAG_const_type, "", holder);
        let alias = draft.typed(None, constants::DW_TAG_typedef, "holder_t", constant);
        let row = draft.array(keys.off, &[77]);
        let table = draft.array(keys.plain, &[13, 5]);
        let holders = draft.array(alias, &[3]);
        draft.variable(None, "object", holder, None);
        draft.variable(None, "aliased", alias, Some(DATA + 0x1000));
        draft.variable(None, "row", row, None);
        draft.variable(None, "table", table, None);
        draft.variable(None, "holders", holders, None);
        draft.variable(None, "itself", keys.on, None);
        let bytes = file(endian, vec![draft]);
        let asked = [
            query("object", DATA, 8),
            query("object", DATA, 32),
            query("object", DATA, 64),
            query("aliased", DATA + 0x1000, 64),
            query("row", DATA, 0),
            query("row", DATA, 16 * 5),
            query("table", DATA, 16 * 64),
            query("holders", DATA, 80 * 2 + 8),
            query("itself", DATA, 0),
            // An address that is no key, one after the object, and an unknown object.
            query("object", DATA, 4),
            query("row", DATA, 16 * 77),
            query("row", DATA, 8),
            query("unknown", DATA, 0),
        ];
        let expected = [
            path(".key", "struct holder"),
            path(".inner", "struct holder"),
            path(".last", "struct holder"),
            path(".last", "holder_t"),
            path("[0]", "struct static_key_false[77]"),
            path("[5]", "struct static_key_false[77]"),
            path("[12][4]", "struct static_key[13][5]"),
            path("[2].key", "holder_t[3]"),
            path("", "struct static_key_true"),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(paths(&bytes, &asked), expected);
    });
}

#[test]
fn the_state_chooses_among_members_of_a_union() {
    each_format(|version, endian| {
        let mut draft = Draft::new(version, CODE);
        let keys = draft.keys();
        let union = constants::DW_TAG_union_type;
        let members = [("dd_key_true", 0, keys.on), ("dd_key_false", 0, keys.off)];
        let union = draft.record(union, "", 16, &members);
        let descriptor =
            draft.structure("_ddebug", 56, &[("line", 32, keys.int), ("key", 40, union)]);
        draft.variable(None, "descriptor", descriptor, Some(DATA));
        let bytes = file(endian, vec![draft]);
        let of_state = |initially_true| ObjectQuery {
            initially_true,
            ..query("__UNIQUE_ID_ddebug7.3", DATA, 40)
        };
        let asked = [of_state(Some(true)), of_state(Some(false)), of_state(None)];
        let expected = [".key.dd_key_true", ".key.dd_key_false", ".key.dd_key_true"];
        assert_eq!(paths(&bytes, &asked), expected.map(|text| path(text, "struct _ddebug")));
    });
}

#[test]
fn locations_select_variables_and_static_ones_of_functions_are_found() {
    each_format(|version, endian| {
        let mut draft = Draft::new(version, CODE);
        let keys = draft.keys();
        let first = draft.structure("first", 32, &[("a", 16, keys.plain)]);
        let second = draft.structure("second", 32, &[("b", 16, keys.plain)]);
        draft.variable(None, "descriptor", keys.int, None);
        for (name, r#type, address) in [("f", first, DATA), ("g", second, DATA + 32)] {
            let function = draft.add(None, constants::DW_TAG_subprogram, name);
            draft.unit.get_mut(function).set_sibling(true);
            let block = draft.add(Some(function), constants::DW_TAG_lexical_block, "");
            draft.unit.get_mut(block).set_sibling(true);
            draft.variable(Some(block), "descriptor", r#type, Some(address));
            draft.variable(Some(function), "parameter", keys.int, None);
        }
        // A declaration in a function; then a definition with a specification.
        let function = draft.add(None, constants::DW_TAG_subprogram, "h");
        draft.unit.get_mut(function).set_sibling(true);
        draft.variable(Some(function), "declared_inside", first, None);
        let declaration = draft.variable(None, "spec", second, None);
        let definition = draft.add(None, constants::DW_TAG_variable, "");
        draft.refer(definition, constants::DW_AT_specification, declaration);
        draft.locate(definition, DATA + 64);
        let bytes = file(endian, vec![draft]);
        let asked = [
            query("descriptor.1", DATA, 16),
            query("descriptor.2", DATA + 32, 16),
            query("g.descriptor", DATA + 32, 16),
            query("declared_inside", DATA + 96, 16),
            query("spec", DATA + 64, 16),
            // The name matches, and the object has another address.
            query("descriptor", DATA + 128, 16),
        ];
        let expected = [
            path(".a", "struct first"),
            path(".b", "struct second"),
            path(".b", "struct second"),
            path(".a", "struct first"),
            path(".b", "struct second"),
            None,
        ];
        assert_eq!(paths(&bytes, &asked), expected);
    });
}

#[test]
fn units_are_searched_in_turn() {
    let unit = |code, r#type: &str, member: &str, address| {
        let mut draft = Draft::new(5, code);
        let keys = draft.keys();
        let holder = draft.structure(r#type, 24, &[(member, 8, keys.plain)]);
        draft.variable(None, "local", holder, Some(address));
        if member == "b" {
            draft.variable(None, "shared", holder, None);
        }
        draft
    };
    let units = vec![unit(CODE, "one", "a", DATA), unit(OTHER_CODE, "two", "b", DATA + 24)];
    let bytes = file(Endian::Little, units);
    let both = [Svma(CODE + 4), Svma(OTHER_CODE + 4)];
    let other = &both[1..];
    let asked = [
        query("local", DATA, 8),
        ObjectQuery { sites: other, ..query("local", DATA + 24, 8) },
        ObjectQuery { sites: &both, ..query("shared", DATA + 48, 8) },
        ObjectQuery { sites: other, ..query("local", DATA, 8) },
        ObjectQuery { sites: &[], ..query("local", DATA, 8) },
        ObjectQuery { sites: &[Svma(0x10)], ..query("local", DATA, 8) },
    ];
    let expected = [
        path(".a", "struct one"),
        path(".b", "struct two"),
        path(".b", "struct two"),
        None,
        None,
        None,
    ];
    assert_eq!(paths(&bytes, &asked), expected);
}

#[test]
fn a_declared_type_leads_to_its_definition() {
    let mut draft = Draft::new(4, CODE);
    let keys = draft.keys();
    let declared = draft.add(None, constants::DW_TAG_structure_type, "holder");
    let flag = gimli::write::AttributeValue::FlagPresent;
    draft.unit.get_mut(declared).set(constants::DW_AT_declaration, flag);
    draft.variable(None, "object", declared, None);
    draft.structure("holder", 24, &[("key", 8, keys.plain)]);
    let unknown = draft.add(None, constants::DW_TAG_structure_type, "unknown");
    let flag = gimli::write::AttributeValue::FlagPresent;
    draft.unit.get_mut(unknown).set(constants::DW_AT_declaration, flag);
    draft.variable(None, "opaque", unknown, None);
    let bytes = file(Endian::Little, vec![draft]);
    let asked = [query("object", DATA, 8), query("opaque", DATA, 8)];
    assert_eq!(paths(&bytes, &asked), [path(".key", "struct holder"), None]);
}

#[test]
fn recursive_types_terminate() {
    let mut draft = Draft::new(5, CODE);
    draft.keys();
    let record = draft.structure("endless", 16, &[]);
    // Two members, so that the paths double with each step.
    for name in ["left", "right"] {
        draft.typed(Some(record), constants::DW_TAG_member, name, record);
    }
    let alias = draft.add(None, constants::DW_TAG_typedef, "alias");
    draft.refer(alias, constants::DW_AT_type, alias);
    let array = draft.add(None, constants::DW_TAG_array_type, "");
    draft.refer(array, constants::DW_AT_type, array);
    let origin = draft.variable(None, "own_origin", record, Some(DATA));
    draft.refer(origin, constants::DW_AT_specification, origin);
    draft.variable(None, "endless", record, None);
    draft.variable(None, "alias", alias, None);
    draft.variable(None, "array", array, None);
    let bytes = file(Endian::Little, vec![draft]);
    let asked = ["own_origin", "endless", "alias", "array"].map(|name| query(name, DATA, 0));
    assert_eq!(ask(&bytes, &asked).paths, [None, None, None, None]);
}

#[test]
fn damaged_types_are_reported() {
    let mut draft = Draft::new(5, CODE);
    let keys = draft.keys();
    let holder = draft.structure("holder", 24, &[("key", 8, keys.plain)]);
    let row = draft.array(holder, &[4, 4]);
    draft.variable(None, "object", row, Some(DATA));
    let sound = file(Endian::Little, vec![draft]);
    let asked = [query("object", DATA, 8)];
    assert!(paths(&sound, &asked)[0].is_some());
    // Damage of any byte of the file causes no panic and no hang.
    for at in 0..sound.len() {
        for damage in [0x01, 0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] ^= damage;
            let Ok(sections) = Image::parse_sections(&bytes) else { continue };
            let Ok(debug_info) = DebugInfo::new(&sections) else { continue };
            let found = debug_info.object_paths(&asked, Path::new("/nonexistent/image"));
            assert_eq!(found.paths.len(), 1);
        }
    }
}
