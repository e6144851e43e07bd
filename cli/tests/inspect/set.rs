//! A kernel and its modules, read together.

use crate::command::{Run, inspect};
use crate::directory::Directory;
use jlctl_synthetic::elf::Content;
use jlctl_synthetic::spec::{DataSection, FunctionSpec, ImageSpec, KeySpec, SiteSpec, TextSection};
use jlctl_synthetic::{broken, wrap};
use serde_json::Value;
use std::path::Path;

const FILE: &str = "net/demo.c";

/// A kernel that uses `shared_key` itself and only defines `quiet_key`.
fn kernel() -> Vec<u8> {
    ImageSpec::kernel()
        .key(KeySpec::new("shared_key").initially_true())
        .key(KeySpec::new("quiet_key"))
        .key(KeySpec::new("__tracepoint_demo").interior(8, 64))
        .function(FunctionSpec::new("kernel_fn", FILE, 32))
        .site(SiteSpec::new("kernel_fn+4", "kernel_fn+0x20", "shared_key"))
        .build()
}

/// A module that uses keys of the kernel, a key of the module `first`, a key that no image
/// defines, and its own key.
fn second() -> Vec<u8> {
    ImageSpec::module("second")
        .undefined("shared_key")
        .undefined("quiet_key")
        .undefined("first_key")
        .undefined("missing_key")
        .undefined("__tracepoint_demo")
        .key(KeySpec::new("second_key").in_section(DataSection::Bss))
        .function(FunctionSpec::new("second_fn", FILE, 64))
        .site(SiteSpec::new("second_fn+4", "second_fn+0x40", "shared_key"))
        .site(SiteSpec::new("second_fn+8", "second_fn+0x40", "quiet_key"))
        .site(SiteSpec::new("second_fn+12", "second_fn+0x40", "first_key"))
        .site(SiteSpec::new("second_fn+16", "second_fn+0x40", "missing_key"))
        .site(SiteSpec::new("second_fn+20", "second_fn+0x40", "__tracepoint_demo+8"))
        .site(SiteSpec::new("second_fn+24", "second_fn+0x40", "second_key"))
        .build()
}

fn first() -> Vec<u8> {
    ImageSpec::module("first")
        .key(KeySpec::new("first_key").initially_true())
        .function(FunctionSpec::new("first_fn", FILE, 16))
        .site(SiteSpec::new("first_fn+4", "first_fn+0x10", "first_key"))
        .build()
}

fn without_table() -> Vec<u8> {
    ImageSpec::module("plain").function(FunctionSpec::new("plain_fn", FILE, 16)).build()
}

/// A tree like that of `/lib/modules`, with the kernel beside it.
fn tree() -> Directory {
    let directory = Directory::new();
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("the directory is made");
        std::fs::write(path, bytes).expect("the file is written");
    };
    put("vmlinux", &kernel());
    put("modules/modules.dep", b"kernel/net/first.ko.xz:\n");
    put(
        "modules/kernel/net/first.ko.xz",
        &wrap::xz(
            &wrap::sign(&first(), &wrap::pkcs7(&[wrap::issuer_and_serial("Demo key", &[1, 2])])),
            1 << 16,
        ),
    );
    put("modules/kernel/net/second.ko.gz", &wrap::gzip(&second()));
    put("modules/kernel/plain.ko.zst", &wrap::zstd(&without_table()));
    directory
}

fn run(directory: &Path, names: &[&str], options: &[&str]) -> Run {
    let paths: Vec<String> =
        names.iter().map(|name| directory.join(name).to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = paths.iter().map(String::as_str).chain(options.iter().copied()).collect();
    inspect(&args)
}

fn json(directory: &Path, names: &[&str], options: &[&str]) -> (Value, i32) {
    let run = run(directory, names, &[&["--format", "json"], options].concat());
    (serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr)), run.code)
}

fn key<'a>(json: &'a Value, name: &str) -> &'a Value {
    let keys = json["keys"].as_array().expect("a list");
    let found: Vec<_> = keys.iter().filter(|key| key["name"] == name).collect();
    let [key] = found[..] else { panic!("{name} once, in {keys:#?}") };
    key
}

#[test]
fn keys_are_found_in_the_kernel_and_in_other_modules() {
    let directory = tree();
    let (json, code) = json(directory.root(), &["vmlinux", "modules"], &[]);
    assert_eq!(code, 0, "{:#}", json["diagnostics"]);
    let images = json["images"].as_array().expect("a list");
    let containers: Vec<&Value> = images.iter().map(|file| &file["image"]["container"]).collect();
    assert_eq!(containers, [&Value::Null, &"xz".into(), &"gz".into(), &"zst".into()]);
    assert_eq!(images[1]["image"]["signature"]["signed_bytes"], first().len());
    assert!(images[3]["table"].is_null(), "a module without keys is part of the set");
    assert!(json["image"].is_null() && json["table"].is_null(), "a set has no single image");

    for (name, image, sites, enabled) in [
        ("shared_key", 0, 2, 1),
        ("quiet_key", 0, 1, 0),
        ("first_key", 1, 2, 1),
        ("second_key", 2, 1, 0),
        ("__tracepoint_demo+0x8", 0, 1, 0),
    ] {
        let key = key(&json, name);
        assert_eq!(key["image"], image, "{key}");
        assert_eq!(key["sites"], sites, "{key}");
        assert_eq!(key["enabled"], enabled, "{key}");
        assert!(key["unresolved"].is_null(), "{key}");
    }
    let missing = key(&json, "missing_key");
    assert_eq!(missing["unresolved"], "no file of this set defines it");
    assert!(missing["image"].is_null() && missing["enabled"].is_null());
    let sites = json["sites"].as_array().expect("a list");
    let images: Vec<u64> = sites.iter().filter_map(|site| site["image"].as_u64()).collect();
    assert_eq!(images, [0, 1, 2, 2, 2, 2, 2, 2]);
    assert_eq!(sites[6]["key_name"], "__tracepoint_demo+0x8");
    assert_eq!(sites[6]["key"], "__tracepoint_demo+0x8");
    assert_eq!(json["summary"]["entries"], 8);
}

#[test]
fn unresolved_keys_of_a_single_module_are_reported() {
    let directory = tree();
    let (json, code) = json(directory.root(), &["modules/kernel/net/second.ko.gz"], &[]);
    assert_eq!(code, 0);
    assert_eq!(json["image"]["container"], "gz");
    let key = key(&json, "shared_key");
    assert!(key["unresolved"].as_str().is_some_and(|why| why.contains("kernel")), "{key}");
    assert_eq!((&key["file_backed"], &key["section"]), (&Value::Bool(false), &Value::Null));
}

#[test]
fn text_names_the_signer_of_a_module() {
    let directory = tree();
    let run = run(directory.root(), &["modules/kernel/net/first.ko.xz"], &[]);
    let signed = run.stdout.lines().find(|line| line.starts_with("signature "));
    assert_eq!(signed, Some("signature   by Demo key (sha512); not verified"), "{}", run.stdout);
}

#[test]
fn filters_apply_to_the_whole_set() {
    let directory = tree();
    let set = ["vmlinux", "modules"];
    for (options, sites, keys) in [
        (&["--key", "shared_key"][..], 2, 1),
        (&["--key", "first_*"], 2, 1),
        (&["--key", "__tracepoint_demo"], 1, 1),
        (&["--function", "second_fn"], 6, 6),
        (&["--function", "second_fn", "--key", "/_key$/"], 5, 5),
        (&["--section", ".text"], 8, 6),
    ] {
        let (json, _) = json(directory.root(), &set, options);
        let len = |list: &str| json[list].as_array().map_or(0, Vec::len);
        assert_eq!((len("sites"), len("keys")), (sites, keys), "{options:?}");
        assert_eq!(json["selection"]["sites"], sites);
        assert_eq!(json["summary"]["entries"], 8, "the summary is of the whole set");
    }
    let misspelt = run(directory.root(), &set, &["--key", "shred_key"]);
    assert_eq!(misspelt.code, 4);
    assert!(misspelt.stderr.contains("nearest: shared_key"), "{}", misspelt.stderr);
}

#[test]
fn text_is_a_summary_of_the_set() {
    let directory = tree();
    let run = run(directory.root(), &["vmlinux", "modules"], &[]);
    for line in [
        "set         4 files: 3 with a jump table, 1 without; 1 other file is not an image",
        "sites       8: 6 nop, 2 jmp",
        "keys        6: 2 on, 3 off, 1 unresolved; 2 used by several files",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{}", run.stdout);
    }
    assert!(run.stdout.contains("Unresolved keys, 1 of 1"), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 100), "{}", run.stdout);
}

#[test]
fn one_damaged_file_does_not_hide_the_others() {
    let directory = tree();
    let cut = &wrap::xz(&first(), 1 << 16)[..60];
    directory.write("modules/kernel/cut.ko.xz", cut);
    let (json, code) = json(directory.root(), &["vmlinux", "modules"], &[]);
    assert_eq!(code, 1, "the others were read");
    let failed: Vec<&Value> = json["images"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|file| !file["error"].is_null())
        .collect();
    let [file] = failed[..] else { panic!("{failed:?}") };
    assert!(file["path"].as_str().is_some_and(|path| path.ends_with("cut.ko.xz")));
    assert!(file["error"].as_str().is_some_and(|error| error.contains("truncated")), "{file}");
    for (name, file) in [("first_key", "first.ko.xz"), ("second_key", "second.ko.gz")] {
        let image =
            &json["images"][usize::try_from(key(&json, name)["image"].as_u64().expect("an index"))
                .expect("the index fits")];
        assert!(image["path"].as_str().is_some_and(|path| path.ends_with(file)), "{name}: {image}");
    }
    let found = &json["diagnostics"][0];
    assert_eq!((&found["code"], &found["severity"]), (&"JT103".into(), &"error".into()));
    let images = json["images"].as_array().expect("a list");
    let index = images.iter().position(|image| image["path"] == file["path"]);
    assert_eq!(found["image"].as_u64(), index.and_then(|index| u64::try_from(index).ok()));
    assert_eq!(json["summary"]["entries"], 8);
}

#[test]
fn a_set_without_images_or_tables_is_refused() {
    let directory = Directory::new();
    let put = |name: &str, bytes: &[u8]| {
        directory.write(name, bytes);
    };
    let of = |names: &[&str]| run(directory.root(), names, &[]);
    let empty = of(&["."]);
    assert_eq!(empty.code, 3, "{}", empty.stderr);
    assert!(empty.stderr.contains("no images found"), "{}", empty.stderr);
    put("plain.ko", &without_table());
    let plain = of(&["."]);
    assert_eq!(plain.code, 4, "{}", plain.stderr);
    assert!(plain.stderr.contains("no jump table in the 1 file that was read"), "{}", plain.stderr);
    put("a.ko", &first()[..100]);
    put("b.ko", b"text");
    let failed = of(&["a.ko", "b.ko"]);
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    assert!(failed.stderr.contains("a.ko") && failed.stderr.contains("found text"));
    assert!(failed.stdout.is_empty());
}

#[test]
fn a_key_that_two_modules_define_is_reported() {
    let directory = Directory::new();
    let put = |name: &str, bytes: &[u8]| {
        directory.write(name, bytes);
    };
    put("one.ko", &first());
    put("two.ko", &first());
    put("user.ko", &second());
    let (json, code) = json(directory.root(), &["."], &[]);
    assert_eq!(code, 0, "a warning");
    let found = &json["diagnostics"][0];
    assert_eq!(found["code"], "JT104", "{found}");
    let message = found["message"].as_str().expect("text");
    assert!(message.contains("first_key") && message.contains("two.ko"), "{message}");
    let keys = json["keys"].as_array().expect("a list");
    let unresolved = keys
        .iter()
        .find(|key| key["name"] == "first_key" && key["image"].is_null())
        .expect("the key of the user is unresolved");
    assert!(unresolved["unresolved"].as_str().is_some_and(|why| why.contains("one.ko")));
}

/// The kernel is reported, whatever the damage to a module in the set.
#[test]
fn broken_modules_leave_the_rest_of_the_set() {
    let directory = tree();
    for (name, bytes) in broken::modules::all() {
        let path = format!("{name}.ko");
        directory.write(&path, bytes);
        let run = run(directory.root(), &["vmlinux", &path], &["--format", "json"]);
        assert!(run.code <= 1, "{name}: {} {}", run.code, run.stderr);
        let json: Value = serde_json::from_str(&run.stdout).expect("the report is JSON");
        assert_eq!(json["images"].as_array().map(Vec::len), Some(2), "{name}");
        assert!(json["summary"]["entries"].as_u64() >= Some(1), "{name}");
    }
}

/// Keys of two kinds with sites in three functions, of which one has a mangled name; two
/// sites hold a RET.
fn faulty(spec: ImageSpec) -> Vec<u8> {
    const RET: u32 = 0xd65f_03c0;
    const HANDLE: &str = "_ZN6server6handleEi";
    spec.key(KeySpec::new("bad_key"))
        .key(KeySpec::new("good_key").initially_true())
        .key(KeySpec::new("__tracepoint_demo").interior(8, 64))
        .function(FunctionSpec::new(HANDLE, FILE, 64))
        .function(FunctionSpec::new("plain_fn", FILE, 64))
        .function(FunctionSpec::new("start_fn", FILE, 64).in_section(TextSection::Init))
        .site(
            SiteSpec::new(&*format!("{HANDLE}+4"), &*format!("{HANDLE}+0x20"), "bad_key").word(RET),
        )
        .site(SiteSpec::new(&*format!("{HANDLE}+8"), &*format!("{HANDLE}+0x20"), "good_key"))
        .site(SiteSpec::new("plain_fn+4", "plain_fn+0x20", "good_key").word(RET))
        .site(SiteSpec::new("plain_fn+8", "plain_fn+0x20", "__tracepoint_demo+8"))
        .site(SiteSpec::new("start_fn+4", "start_fn+0x20", "bad_key"))
        .build()
}

/// Every filter selects the same of a file alone as of the file in a set.
#[test]
fn filters_select_the_same_of_one_file_and_of_a_set() {
    let directory = Directory::new();
    let put = |name: &str, bytes: &[u8]| {
        directory.write(name, bytes);
    };
    put("vmlinux", &faulty(ImageSpec::kernel()));
    put("faulty.ko", &faulty(ImageSpec::module("faulty")));
    put("other.ko", &first());
    for file in ["vmlinux", "faulty.ko"] {
        let whole = json(directory.root(), &[file], &[]).0;
        assert_eq!(whole["diagnostics"].as_array().map(Vec::len), Some(2), "{whole:#}");
        let address = whole["keys"][0]["address"].as_str().expect("an address").to_owned();
        for (options, sites, diagnostics) in [
            (&["--key", "bad_key"][..], 2, 1),
            (&["--key", "good_*"], 2, 1),
            (&["--key", "/_key$/"], 4, 2),
            (&["--key", "__tracepoint_demo"], 1, 0),
            (&["--kind", "tracepoint"], 1, 0),
            (&["--kind", "plain"], 4, 2),
            (&["--kind", "plain,tracepoint"], 5, 2),
            (&["--function", "server::handle(int)"], 2, 1),
            (&["--function", "server::*"], 2, 1),
            (&["--function", "_ZN6server6handleEi"], 2, 1),
            (&["--function", "/^plain/"], 2, 1),
            (&["--section", ".init.text"], 1, 0),
            (&["--section", ".text"], 4, 2),
            (&["--key", "bad_key", "--section", ".text"], 1, 1),
            (&["--key", "good_key", "--function", "start_fn"], 0, 0),
        ] {
            let alone = json(directory.root(), &[file], options);
            let in_set = json(directory.root(), &[file, "other.ko"], options);
            let context = format!("{file} {options:?}");
            // The other file has a key and a site of the kind, section or name too.
            let of_file = |list: &str, (json, _): &(Value, i32)| -> Vec<Value> {
                let all = json[list].as_array().expect("a list").clone();
                all.into_iter().filter(|record| record["image"] == 0).collect()
            };
            for list in ["sites", "keys", "diagnostics"] {
                assert_eq!(of_file(list, &alone), of_file(list, &in_set), "{context}: {list}");
            }
            let found = ["sites", "diagnostics"].map(|list| of_file(list, &in_set).len());
            assert_eq!(found, [sites, diagnostics], "{context}");
            assert_eq!(alone.1, in_set.1, "{context}: the exit code");
        }
        for options in [
            &["--key", "no_such_key"][..],
            &["--function", "server::handle"],
            &["--section", ".exit.text"],
        ] {
            let codes = [&[file][..], &[file, "other.ko"]]
                .map(|files| run(directory.root(), files, options).code);
            assert_eq!(codes, [4, 4], "{file} {options:?}");
        }
        // An address in a relocatable file is made up, and names no key.
        let [alone, in_set] = [&[file][..], &[file, "other.ko"]]
            .map(|files| run(directory.root(), files, &["--key", &address]).code);
        assert_eq!(alone, in_set, "{file} {address}");
    }
}

/// The number of files with sites of a key follows the selection too.
#[test]
fn files_of_a_key_are_those_with_selected_sites() {
    let directory = tree();
    let options = ["--key", "shared_key", "--function", "kernel_fn"];
    let run = run(directory.root(), &["vmlinux", "modules"], &options);
    let row = run.stdout.lines().find(|line| line.contains("shared_key  vmlinux"));
    assert_eq!(
        row.map(str::trim_start),
        Some("1      1  on     shared_key  vmlinux"),
        "{}",
        run.stdout
    );
}

/// A kernel with two units, of which the second has entries that cannot be read.
fn with_damaged_unit() -> Vec<u8> {
    let mut linked = ImageSpec::kernel()
        .key(KeySpec::new("sound_key"))
        .key(KeySpec::new("damaged_key"))
        .function(FunctionSpec::new("sound_fn", "kernel/sound.c", 32))
        .function(FunctionSpec::new("damaged_fn", "kernel/zdamaged.c", 32))
        .site(SiteSpec::new("sound_fn+4", "sound_fn+0x10", "sound_key"))
        .site(SiteSpec::new("damaged_fn+4", "damaged_fn+0x10", "damaged_key"))
        .link();
    let info = linked.elf.section_mut(".debug_info").expect("the kernel has debug information");
    let Content::Bytes(bytes) = &mut info.content else { panic!("the section has no bytes") };
    let length = |at: usize| bytes[at..].first_chunk().map(|size| u32::from_le_bytes(*size));
    let second = 4 + length(0).expect("a unit") as usize;
    // Codes of abbreviations that no table has, after the longest header of a unit.
    let entries = second + 12..second + 4 + length(second).expect("a second unit") as usize;
    bytes[entries].fill(0x7f);
    linked.bytes()
}

/// Faults of debug information are reported if the selected sites meet them, in a set as alone.
#[test]
fn faults_of_source_lines_are_those_of_selected_sites() {
    let directory = Directory::new();
    directory.write("other.ko", first());
    directory.write("damaged", with_damaged_unit());
    let faults = |names: &[&str], key: &str| {
        let (json, _) = json(directory.root(), names, &["--sites", "--key", key]);
        json["diagnostics"].as_array().expect("a list").clone()
    };
    for key in ["sound_key", "damaged_key", "*_key"] {
        let [alone, in_set] =
            [&["damaged"][..], &["damaged", "other.ko"]].map(|of| faults(of, key));
        assert_eq!(alone, in_set, "{key}");
    }
    let count = |key| faults(&["damaged"], key).len();
    assert!(count("sound_key") < count("damaged_key"), "no filter leaves a fault out");
}

/// A diagnostic about a key is reported if the key is selected, in a set as alone.
#[test]
fn diagnostics_of_keys_are_those_of_selected_keys() {
    let directory = Directory::new();
    directory.write("other.ko", first());
    // The key counts as on, and its sites are those of a key that is off.
    let image = ImageSpec::kernel()
        .key(KeySpec::new("flipped_key").enabled(1))
        .key(KeySpec::new("sound_key"))
        .function(FunctionSpec::new("kernel_fn", FILE, 48))
        .site(SiteSpec::new("kernel_fn+4", "kernel_fn+0x20", "flipped_key"))
        .site(SiteSpec::new("kernel_fn+12", "kernel_fn+0x20", "sound_key"))
        .build();
    directory.write("vmlinux", image);
    for (key, codes) in [("flipped_key", &["JT014", "JT004"][..]), ("sound_key", &[])] {
        for files in [&["vmlinux"][..], &["vmlinux", "other.ko"]] {
            let (json, _) = json(directory.root(), files, &["--key", key]);
            let found = json["diagnostics"].as_array().expect("a list");
            let found: Vec<&str> = found.iter().filter_map(|of| of["code"].as_str()).collect();
            assert_eq!(found, codes, "{key} in {files:?}");
        }
    }
}
