//! The JSON report has every field of the schema jlctl.inspect/1, of the right type, and null only
//! where the schema allows it; filters and lists.

use crate::command::{DEMO, inspect, report, utf8};
use crate::directory::Directory;
use jlctl_synthetic::broken::{self, debug};
use jlctl_synthetic::{demo, spec::ImageSpec};
use serde_json::Value;

/// The type of a field.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    OneOf(&'static [&'static str]),
    /// `"0x…"`
    Address,
    /// Pairs of hexadecimal digits.
    Bytes,
    Number,
    Bool,
    Object,
    List,
}

impl Kind {
    fn holds(self, value: &Value) -> bool {
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        let text = value.as_str();
        match self {
            Self::Text => text.is_some_and(|text| !text.is_empty()),
            Self::OneOf(words) => text.is_some_and(|text| words.contains(&text)),
            Self::Address => text.and_then(|text| text.strip_prefix("0x")).is_some_and(hex),
            Self::Bytes => text.is_some_and(|text| hex(text) && text.len() % 2 == 0),
            Self::Number => value.is_i64() || value.is_u64(),
            Self::Bool => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
        }
    }
}

/// A field: name, kind, whether it may be null.
type Field = (&'static str, Kind, bool);

const IMAGE: [Field; 10] = [
    ("path", Kind::Text, false),
    ("format", Kind::OneOf(&["elf", "arm64-image", "riscv64-image"]), false),
    ("container", Kind::OneOf(&["xz", "gz", "zst"]), true),
    ("debug_file", Kind::Text, true),
    ("signature", Kind::Object, true),
    ("arch", Kind::Text, false),
    ("type", Kind::OneOf(&["exec", "dyn", "rel"]), true),
    ("build_id", Kind::Bytes, true),
    ("release", Kind::Text, true),
    ("debug_info", Kind::Bool, false),
];
const TABLE: [Field; 6] = [
    ("address", Kind::Address, false),
    ("end", Kind::Address, false),
    ("entry_size", Kind::Number, false),
    ("layout", Kind::OneOf(&["relative", "absolute"]), false),
    ("located_by", Kind::OneOf(&["symbols", "section", "scan"]), false),
    ("confidence", Kind::Object, true),
];
const FILE: [Field; 5] = [
    ("path", Kind::Text, false),
    ("error", Kind::Text, true),
    ("image", Kind::Object, true),
    ("table", Kind::Object, true),
    ("summary", Kind::Object, true),
];
const SUMMARY: [Field; 9] = [
    ("kinds", Kind::Object, false),
    ("entries", Kind::Number, false),
    ("nop", Kind::Number, false),
    ("jmp", Kind::Number, false),
    ("other", Kind::Number, false),
    ("keys", Kind::Number, false),
    ("flipped", Kind::Number, false),
    ("sections", Kind::Object, false),
    ("special", Kind::Object, false),
];
const KINDS: &[&str] = &[
    "plain",
    "tracepoint",
    "dynamic-debug",
    "security-hook",
    "cpu-capability",
    "cgroup-subsystem",
    "bpf-cgroup",
    "sched-feature",
    "netfilter-hook",
    "perf-event",
    "once",
];
const KEY: [Field; 14] = [
    ("kind", Kind::OneOf(KINDS), false),
    ("object_type", Kind::Text, true),
    ("dynamic_debug", Kind::Object, true),
    ("name", Kind::Text, false),
    ("address", Kind::Address, false),
    ("symbol", Kind::Text, true),
    ("offset", Kind::Number, true),
    ("section", Kind::Text, true),
    ("file_backed", Kind::Bool, false),
    ("enabled", Kind::Number, true),
    ("initial", Kind::OneOf(&["true", "false"]), true),
    ("sites", Kind::Number, false),
    ("image", Kind::Number, true),
    ("unresolved", Kind::Text, true),
];
const SITE: [Field; 16] = [
    ("image", Kind::Number, false),
    ("special", Kind::OneOf(&["init", "exit", "el2", "unusual-section"]), true),
    ("index", Kind::Number, false),
    ("code", Kind::Address, false),
    ("target", Kind::Address, false),
    ("key", Kind::Address, false),
    ("key_name", Kind::Text, false),
    ("branch", Kind::OneOf(&["likely", "unlikely"]), false),
    ("insn", Kind::OneOf(&["nop", "jmp", "other"]), false),
    ("bytes", Kind::Bytes, true),
    ("disassembly", Kind::Text, true),
    ("section", Kind::Text, true),
    ("function", Kind::Text, true),
    ("function_offset", Kind::Number, true),
    ("source", Kind::List, true),
    ("used_at", Kind::Object, true),
];
const FRAME: [Field; 4] = [
    ("function", Kind::Text, true),
    ("file", Kind::Text, true),
    ("line", Kind::Number, true),
    ("column", Kind::Number, true),
];
const DIAGNOSTIC: [Field; 5] = [
    ("image", Kind::Number, true),
    ("code", Kind::Text, false),
    ("severity", Kind::OneOf(&["note", "warning", "error"]), false),
    ("message", Kind::Text, false),
    ("site", Kind::Number, true),
];

fn check(object: &Value, fields: &[Field]) {
    for (name, kind, nullable) in fields {
        let value = object.get(name).unwrap_or_else(|| panic!("no field {name} in {object}"));
        let fits = if value.is_null() { *nullable } else { kind.holds(value) };
        assert!(fits, "{name}: expected {kind:?}, found {value} in {object}");
    }
}

fn elements<'a>(json: &'a Value, list: &str) -> &'a [Value] {
    json[list].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// `used_at` is the first frame outside jump_label.h, or the innermost of all.
fn check_used_at(site: &Value) {
    let frames = elements(site, "source");
    let is_wrapper = |frame: &&Value| {
        frame["file"].as_str().is_some_and(|file| file.rsplit('/').next() == Some("jump_label.h"))
    };
    let expected = frames.iter().find(|frame| !is_wrapper(frame)).or(frames.first());
    assert_eq!(&site["used_at"], expected.unwrap_or(&Value::Null), "{site}");
}

fn check_report(json: &Value) {
    assert_eq!(json["schema"], "jlctl.inspect/1");
    check(&json["image"], &IMAGE);
    check(&json["table"], &TABLE);
    check(&json["summary"], &SUMMARY);
    let [file] = elements(json, "images") else { panic!("one file was read") };
    check(file, &FILE);
    for part in ["image", "table", "summary"] {
        assert_eq!(file[part], json[part], "the list has the same record");
    }
    elements(json, "keys").iter().for_each(|key| check(key, &KEY));
    for site in elements(json, "sites") {
        check(site, &SITE);
        elements(site, "source").iter().for_each(|frame| check(frame, &FRAME));
        check_used_at(site);
    }
    assert!(json["diagnostics"].is_array());
    elements(json, "diagnostics").iter().for_each(|found| check(found, &DIAGNOSTIC));
}

fn json(args: &[&str]) -> Value {
    let text = report(&[&["--format", "json"], args].concat());
    let json = serde_json::from_str(&text).expect("the report is JSON");
    check_report(&json);
    json
}

#[test]
fn the_demo_has_a_value_in_nearly_every_field() {
    let json = json(&[]);
    for name in ["build_id", "release"] {
        assert!(!json["image"][name].is_null(), "{name}");
    }
    // Keys that the image defines are not unresolved, and most sites are not special.
    let may_be_null = ["unresolved", "special", "object_type", "dynamic_debug"];
    let filled = |element: &Value| {
        for (name, value) in element.as_object().expect("an object") {
            let may = may_be_null.contains(&name.as_str());
            assert!(may || !value.is_null(), "{name}: {element}");
        }
    };
    elements(&json, "keys").iter().for_each(filled);
    elements(&json, "sites").iter().for_each(filled);
    elements(&json, "sites").iter().flat_map(|site| elements(site, "source")).for_each(filled);
    let linked = demo::linked();
    let codes: Vec<String> = linked.entries.iter().map(|e| format!("{:#x}", e.code)).collect();
    let found: Vec<&str> =
        elements(&json, "sites").iter().filter_map(|s| s["code"].as_str()).collect();
    assert_eq!(found, codes, "in table order");
    assert_eq!(
        json["summary"]["sections"],
        serde_json::json!({".text": 10, ".init.text": 1, ".exit.text": 1})
    );
    assert_eq!(json["summary"]["special"], serde_json::json!({"exit": 1, "init": 1}));
    let counts =
        ["nop", "jmp", "other"].map(|kind| json["summary"][kind].as_u64().expect("a number"));
    assert_eq!(counts.iter().sum::<u64>(), 12);
}

/// Fields that a broken image leaves unknown are null, and the others have values.
#[test]
fn reports_on_broken_images_keep_the_contract() {
    let directory = Directory::new();
    let mut images = [broken::sites::all(), broken::table::all(), broken::headers::all()].concat();
    let bare = ImageSpec { build_id: None, dwarf: None, ..broken::base() };
    images.push(("bare", bare.build()));
    let mut reports = 0;
    for (name, bytes) in images {
        let path = directory.path(name);
        std::fs::write(&path, bytes).expect("the file is written");
        let run = inspect(&[utf8(&path), "--format", "json"]);
        if run.code >= 2 {
            continue;
        }
        let json: Value = serde_json::from_str(&run.stdout).expect("the report is JSON");
        check_report(&json);
        reports += 1;
        if name == "bare" {
            assert!(json["image"]["build_id"].is_null() && json["sites"][0]["source"].is_null());
            assert_eq!(json["image"]["debug_info"], false);
        }
        if name == "site_outside_sections" {
            let site = &json["sites"][1];
            for field in ["bytes", "disassembly", "section", "function", "function_offset"] {
                assert!(site[field].is_null(), "{field}: {site}");
            }
        }
        if name == "key_outside_sections" {
            let is = |key: &&Value| key["enabled"].is_null();
            let key =
                elements(&json, "keys").iter().find(is).expect("the key outside the sections");
            for field in ["symbol", "offset", "section", "initial"] {
                assert!(key[field].is_null(), "{field}: {key}");
            }
        }
    }
    assert!(reports > 30, "{reports}");
}

#[test]
fn lists_that_are_not_requested_are_null() {
    for (args, keys, sites) in [
        (&[][..], true, true),
        (&["--keys"], true, false),
        (&["--sites"], false, true),
        (&["--keys", "--sites"], true, true),
    ] {
        let json = json(args);
        assert_eq!((json["keys"].is_array(), json["sites"].is_array()), (keys, sites), "{args:?}");
        assert_eq!((json["keys"].is_null(), json["sites"].is_null()), (!keys, !sites));
        assert!(json.get("keys").is_some() && json.get("sites").is_some());
    }
}

#[test]
fn no_source_leaves_the_source_out() {
    let json = json(&["--no-source"]);
    assert!(elements(&json, "sites").iter().all(|site| site["source"].is_null()));
    assert_eq!(json["image"]["debug_info"], true, "the image has debug information");
}

#[test]
fn filters_select_the_sites_that_match_all_of_them() {
    for (args, sites, keys) in [
        (&["--key", "demo_true_key"][..], &[1, 2][..], 1),
        (&["--key", "demo_*_key"], &[0, 1, 2, 3, 7, 8, 10, 11], 4),
        (&["--key", "/once_key|hwcap/"], &[5, 6, 9], 3),
        (&["--key", "/^demo_(ro|bss)_key$/"], &[7, 8, 10, 11], 2),
        (&["--key", "__tracepoint_demo_event+0x8"], &[4], 1),
        (&["--kind", "tracepoint"], &[4], 1),
        (&["--kind", "once,cpu-capability"], &[5, 6, 9], 3),
        (&["--kind", "once", "--key", "/once_key/", "--kind", "plain"], &[5, 9], 2),
        (&["--function", "demo_read"], &[2, 3, 4], 3),
        (&["--function", "/_(init|net_exit)$/"], &[10, 11], 2),
        (&["--section", ".init.text"], &[10], 1),
        (&["--section", ".text", "--key", "demo_bss_key"], &[8], 1),
        (&["--function", "demo_read", "--key", "demo_false_key"], &[3], 1),
    ] {
        let json = json(args);
        let found: Vec<u64> =
            elements(&json, "sites").iter().filter_map(|site| site["index"].as_u64()).collect();
        assert_eq!(found, sites, "{args:?}");
        let selection = &json["selection"];
        assert_eq!(elements(&json, "keys").len(), keys, "{args:?}");
        assert_eq!(selection["keys"].as_u64(), Some(keys as u64));
        assert_eq!(selection["sites"].as_u64(), Some(sites.len() as u64));
        for name in ["key", "function", "section"] {
            let option = format!("--{name}");
            let given = args.iter().position(|arg| *arg == option).map(|at| args[at + 1]);
            assert_eq!(selection[name].as_str(), given, "{args:?}");
        }
        assert_eq!(json["summary"]["entries"], 12, "the summary is of the whole table");
        // A key's sites are counted within the selection.
        let counted: u64 =
            elements(&json, "keys").iter().filter_map(|key| key["sites"].as_u64()).sum();
        assert_eq!(counted, sites.len() as u64);
    }
    assert!(json(&[])["selection"].is_null());
}

#[test]
fn filters_that_together_match_nothing_give_empty_lists() {
    let json = json(&["--function", "demo_open", "--section", ".init.text"]);
    assert_eq!((elements(&json, "sites").len(), elements(&json, "keys").len()), (0, 0));
    assert!(json["sites"].is_array() && json["selection"]["sites"] == 0);
}

#[test]
fn the_path_is_reported_as_it_was_given() {
    let json = json(&[]);
    assert_eq!(json["image"]["path"], DEMO);
}

#[test]
fn unreadable_debug_information_is_a_warning_of_its_own() {
    let directory = Directory::new();
    let path = directory.path("bomb");
    std::fs::write(&path, debug::compression_bomb()).expect("the image is written");
    let path = utf8(&path);
    let run = inspect(&[path, "--sites", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("the report is JSON");
    let found = &report["diagnostics"][0];
    assert_eq!((&found["code"], &found["severity"]), (&"JT102".into(), &"warning".into()));
    assert!(report["sites"][0]["source"].is_null());
    assert_eq!(run.code, 0, "a warning is no finding at the failing level");
}
