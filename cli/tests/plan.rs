//! `jlctl plan`: golden output, the schema, refusals.
//! `UPDATE_EXPECT=1 cargo test -p jlctl plan::` rewrites testdata/golden/expect.

use crate::command::{DEMO, Run, jlctl, run, utf8};
use crate::directory::Directory;
use crate::golden::expect;
use jlctl_synthetic::demo;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use jlctl_synthetic::wrap;
use std::fs;
use std::path::Path;

fn plan(args: &[&str]) -> Run {
    run(jlctl(&["plan"]).args(args))
}

fn json(args: &[&str]) -> serde_json::Value {
    let run = plan(&[args, &["--format", "json"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
    serde_json::from_str(&run.stdout).expect("the report is JSON")
}

#[test]
fn text_and_json_are_as_expected() {
    let all = ["--flip", "*", "--queue", "5", "--cpus", "8"];
    for (name, format) in [("plan.txt", "text"), ("plan.json", "json")] {
        let run = plan(&[&[DEMO], &all[..], &["--format", format]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        expect(name, &run.stdout);
    }
}

#[test]
fn plans_are_reproducible_and_o_writes_the_plan_file() {
    let directory = Directory::new();
    let [a, b] = ["a", "b"].map(|name| directory.path(name));
    for path in [&a, &b] {
        let run = plan(&[DEMO, "--flip", "*", "-o", utf8(path)]);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    }
    let (a, b) = (fs::read(a).expect("the file is there"), fs::read(b).expect("the file is there"));
    assert_eq!(a, b);
    let stdout = plan(&[DEMO, "--flip", "*", "--format", "json"]).stdout;
    assert_eq!(String::from_utf8(a).expect("the text is UTF-8"), stdout);
}

#[test]
fn plans_match_the_schema() {
    let run = plan(&["--schema"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).expect("the report is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is valid");
    let mut plan = json(&[DEMO, "--flip", "*"]);
    let errors: Vec<String> = validator.iter_errors(&plan).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    plan["ops"][0]["new"] = "xyz".into();
    assert!(!validator.is_valid(&plan), "bytes are hexadecimal");
    plan["ops"][0]["new"] = "1f2003d5".into();
    assert!(validator.is_valid(&plan));
    plan["surprise"] = 1.into();
    assert!(!validator.is_valid(&plan), "the schema allows no other field");
}

#[test]
fn invalid_wishes_are_refused() {
    for (args, code, words) in [
        (
            &["--flip", "demo_fals_key"][..],
            4,
            &["demo_fals_key: no key", "nearest: demo_false_key"][..],
        ),
        (&["--flip", "___once_key.0"], 4, &["expected one key, found 2", "demo.c:___once_key.0"]),
        (
            &["--enable", "demo_true_key", "--disable", "demo_*"],
            4,
            &["key demo_true_key: expected one wish", "--disable demo_*"],
        ),
        (&["--flip", "nothing_1", "--flip", "nothing_2"], 4, &["nothing_1", "nothing_2"]),
        (&["--flip", "/(/"], 2, &["--flip /(/"]),
        (&["--flip", "x", "--queue", "0"], 2, &["--queue"]),
        (&["--flip", "x", "--check", "y"], 2, &["cannot be used with"]),
        (&[], 2, &["--flip"]),
    ] {
        let run = plan(&[&[DEMO], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{args:?}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{word:?} in {}", run.stderr);
        }
    }
}

#[test]
fn a_name_selects_one_key_and_a_glob_all_that_match() {
    let keys =
        |args: &[&str]| json(&[&[DEMO], args].concat())["keys"].as_array().map_or(0, Vec::len);
    assert_eq!(keys(&["--flip", "demo.c:___once_key.0"]), 1);
    assert_eq!(keys(&["--flip", "*once_key*"]), 2);
    assert_eq!(keys(&["--enable", "demo_false_key", "--disable", "demo_true_key"]), 2);
    assert_eq!(keys(&["--flip", "demo_*_key", "--flip", "demo_true_key"]), 4, "once each");
}

#[test]
fn a_key_in_the_wanted_state_needs_no_patch() {
    let plan = json(&[DEMO, "--enable", "demo_true_key"]);
    for list in ["ops", "key_writes", "batches", "refusals"] {
        assert_eq!(plan[list], serde_json::json!([]), "{list}");
    }
    assert_eq!(plan["keys"][0]["ops"], 0);
}

/// A kernel that exports a key, and a module that uses it.
fn kernel_and_module(directory: &Path) -> [String; 2] {
    let kernel = demo::spec();
    let module = ImageSpec::module("user")
        .undefined("demo_false_key")
        .key(KeySpec::new("own_key"))
        .function(FunctionSpec::new("function", "user.c", 16))
        .site(SiteSpec::new("function+8", "function+32", "demo_false_key"))
        .site(SiteSpec::new("function+16", "function+32", "own_key"));
    [("vmlinux", kernel), ("user.ko", module)].map(|(name, spec)| {
        let path = directory.join(name);
        fs::write(&path, spec.build()).expect("the file is written");
        utf8(&path).to_owned()
    })
}

#[test]
fn a_module_is_planned_with_its_kernel() {
    let directory = Directory::new();
    let [kernel, module] = kernel_and_module(directory.root());
    let alone = json(&[&module, "--enable", "demo_false_key"]);
    assert_eq!(alone["refusals"][0]["code"], "elsewhere");
    assert_eq!(alone["ops"], serde_json::json!([]));
    let both = json(&[&kernel, &module, "--enable", "demo_false_key"]);
    assert_eq!(both["refusals"], serde_json::json!([]));
    let images: Vec<_> =
        both["ops"].as_array().expect("ops").iter().map(|op| &op["image"]).collect();
    assert_eq!(images, [0, 0, 1]);
    assert_eq!(both["key_writes"].as_array().map_or(0, Vec::len), 1);
    assert_eq!(both["ops"][2]["address"], ".text+0x8");
    // A plan lists only the images of the set that it patches.
    let own = json(&[&kernel, &module, "--enable", "own_key"]);
    assert_eq!(own["images"].as_array().map_or(0, Vec::len), 1);
    assert_eq!(own["ops"][0]["image"], 0);
}

#[test]
fn limits_of_a_file_are_refusals_for_the_file_alone() {
    let directory = Directory::new();
    let [_, module] = kernel_and_module(directory.root());
    let signed = directory.path("signed.ko");
    let bytes = fs::read(&module).expect("the file is there");
    let pkcs7 = wrap::pkcs7(&[wrap::issuer_and_serial("Somebody", &[1, 2])]);
    fs::write(&signed, wrap::sign(&bytes, &pkcs7)).expect("the file is written");
    let packed = directory.path("packed.ko.xz");
    fs::write(&packed, wrap::xz(&bytes, 1 << 16)).expect("the file is written");
    for (path, code) in [(&signed, "signed"), (&packed, "container")] {
        let plan = json(&[utf8(path), "--enable", "own_key"]);
        assert_eq!(plan["refusals"][0]["code"], code);
        assert_eq!(plan["refusals"][0]["targets"], serde_json::json!(["file"]));
        assert_eq!(plan["ops"].as_array().map_or(0, Vec::len), 1, "the plan is still made");
    }
}

/// Checks the demo's plan after `edit`.
fn checked(edit: impl FnOnce(String) -> String) -> Run {
    let directory = Directory::new();
    let path = directory.path("plan.json");
    let text = plan(&[DEMO, "--flip", "*", "--format", "json"]).stdout;
    fs::write(&path, edit(text)).expect("the file is written");
    plan(&["--check", utf8(&path), DEMO])
}

#[test]
fn check_verifies_every_claim_of_a_plan() {
    let sound = checked(|text| text);
    assert_eq!((sound.code, sound.stderr.as_str()), (0, ""));
    assert!(sound.stdout.contains("every claim holds"), "{}", sound.stdout);
    let edited = checked(|text| text.replacen("1f2003d5", "1f2003d4", 1));
    assert_eq!(edited.code, 1, "{}", edited.stderr);
    assert!(
        edited.stdout.contains("ops[0].old: expected 1f2003d5, found 1f2003d4"),
        "{}",
        edited.stdout
    );
}

#[test]
fn malformed_plans_are_refused() {
    for (edit, words) in [
        (
            &(|text: String| text[..text.len() / 2].to_owned()) as &dyn Fn(String) -> String,
            "it ends in the middle",
        ),
        (&|text| text.replace("jlctl.plan/1", "jlctl.plan/2"), "a later jlctl made it"),
        (
            &|text| text.replace("jlctl.plan/1", "jlctl.inspect/1"),
            "found schema \"jlctl.inspect/1\"",
        ),
        (&|_| "{}".to_owned(), "without a schema"),
        (&|_| String::new(), "not a plan file (it is empty)"),
        (&|_| "ELF".to_owned(), "not a plan file (line 1, column 1: not JSON)"),
        (&|text| text.replacen("\"batch\":", "\"botch\":", 1), "unknown field `botch`"),
        (
            &|text| text.replacen("\"key\":0", "\"key\":99", 1),
            "ops[0].key: expected an index below",
        ),
        (&|text| text.replacen("1f2003d5", "1f2003dx", 1), "hexadecimal"),
    ] {
        let run = checked(edit);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{words}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{words:?} in {}", run.stderr);
        assert!(run.stderr.contains("plan.json"), "{}", run.stderr);
    }
    let missing = plan(&["--check", "missing.json", DEMO]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
}

#[test]
fn a_plan_for_another_image_reports_the_differences() {
    let directory = Directory::new();
    let other = directory.path("other");
    let mut spec = demo::spec();
    spec.build_id = Some(vec![7; 20]);
    fs::write(&other, spec.build()).expect("the file is written");
    let path = directory.path("plan.json");
    let path = utf8(&path);
    assert_eq!(plan(&[DEMO, "--flip", "*", "-o", path]).code, 0);
    let run = plan(&["--check", path, utf8(&other)]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("images[0].build_id: expected 0707"), "{}", run.stdout);
    assert!(run.stdout.contains("images[0].sha256"), "{}", run.stdout);
}
