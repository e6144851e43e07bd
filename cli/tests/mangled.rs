//! Keys and functions of Rust and C++ are called by their paths, in every command; their
//! symbols, mangled as they are, name them too.

use crate::command::{Run, jlctl, run};
use jlctl_a64::lint_cases;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const TRACE: &str = "_ZN6server5admin5TRACE17h0123456789abcdefE";
/// The statics of two copies of a generic function: one path.
const TWINS: [&str; 2] =
    ["_ZN6server5twins3KEY17h0000000000000001E", "_ZN6server5twins3KEY17h0000000000000002E"];
const ANSWER: &str = "_RNvCsabc123_6server6answer";

/// A program with a key of each kind; `hash` is that of the first one's symbol.
fn program(directory: &Path, name: &str, hash: &str) -> PathBuf {
    let trace = TRACE.replace("0123456789abcdef", hash);
    let path = directory.join(name);
    let spec = ImageSpec::kernel()
        .key(KeySpec::new(&trace))
        .key(KeySpec::new(TWINS[0]))
        .key(KeySpec::new(TWINS[1]))
        .key(KeySpec::new("_ZL9trace_key"))
        .function(FunctionSpec::new(ANSWER, "main.rs", 16));
    let keys = [&trace, TWINS[0], TWINS[1], "_ZL9trace_key"];
    let spec = keys.iter().zip([0x4, 0x8, 0xc, 0x10]).fold(spec, |spec, (key, at)| {
        let [code, target] = [at, 0x20].map(|at| format!("{ANSWER}+{at:#x}"));
        spec.site(SiteSpec::new(&*code, &*target, *key))
    });
    fs::write(&path, spec.link().bytes()).expect("it can be written");
    path
}

fn done(args: &[&str]) -> String {
    let Run { code, stdout, stderr } = run(&mut jlctl(args));
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&done(&[args, &["--format", "json"]].concat())).expect("it is JSON")
}

#[test]
fn inspect_shows_paths_and_keeps_symbols() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = program(directory.path(), "program", "0123456789abcdef");
    let path = path.to_str().expect("UTF-8");
    let keys = json(&["inspect", path, "--keys"]);
    let named: Vec<[&str; 2]> = keys["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| ["name", "symbol"].map(|field| key[field].as_str().expect("a text")))
        .collect();
    for key in [
        ["server::admin::TRACE", TRACE],
        // What has one path is told apart by its symbol.
        [TWINS[0], TWINS[0]],
        [TWINS[1], TWINS[1]],
        ["trace_key", "_ZL9trace_key"],
    ] {
        assert!(named.contains(&key), "{key:?} among {named:?}");
    }
    let text =
        done(&["inspect", path, "--sites", "--key", "TRACE", "--function", "server::answer"]);
    assert!(text.contains("server::admin::TRACE") && text.contains("server::answer+0x4"), "{text}");
    let sites = json(&["inspect", path, "--sites", "--function", ANSWER]);
    assert_eq!(sites["sites"].as_array().map(Vec::len), Some(4));
    assert_eq!(sites["sites"][0]["function"], ANSWER, "as nm shows it");
}

#[test]
fn the_end_of_a_path_names_a_key_and_two_are_told_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = program(directory.path(), "program", "0123456789abcdef");
    let (path, plan) = (path.to_str().expect("UTF-8"), directory.path().join("plan.json"));
    let plan = plan.to_str().expect("UTF-8");
    for name in ["server::admin::TRACE", "admin::TRACE", "TRACE", TRACE] {
        done(&["plan", path, "--enable", name, "-o", plan]);
        let document: Value =
            serde_json::from_slice(&fs::read(plan).expect("it is there")).expect("it is JSON");
        assert_eq!(document["keys"][0]["name"], "server::admin::TRACE");
        assert_eq!(document["keys"][0]["symbol"], TRACE);
        assert_eq!(document["ops"][0]["function"], ANSWER);
        done(&["plan", "--check", plan, path]);
    }
    let refused = run(&mut jlctl(&["plan", path, "--enable", "twins::KEY"]));
    assert_eq!((refused.code, refused.stdout.as_str()), (4, ""));
    assert!(TWINS.iter().all(|twin| refused.stderr.contains(twin)), "{}", refused.stderr);
    let unknown = run(&mut jlctl(&["plan", path, "--enable", "TRACES"]));
    assert!(unknown.stderr.contains("nearest: server::admin::TRACE"), "{}", unknown.stderr);
}

#[test]
fn a_key_is_the_same_in_the_next_build() {
    let directory = tempfile::tempdir().expect("a directory");
    let a = program(directory.path(), "a", "0123456789abcdef");
    let b = program(directory.path(), "b", "fedcba9876543210");
    let (a, b) = (a.to_str().expect("UTF-8"), b.to_str().expect("UTF-8"));
    let report = json(&["diff", a, b]);
    assert_eq!(report["summary"]["keys"]["added"], 0, "{report:#}");
    assert_eq!(report["summary"]["keys"]["removed"], 0, "{report:#}");
}

/// A library in Rust whose `demo::patch` never synchronises; `hash` is that of its symbol.
fn patching(directory: &Path, name: &str, hash: &str) -> PathBuf {
    let all = lint_cases::all();
    let case = all.iter().find(|case| case.name == "jl001-user-mangled").expect("it is there");
    let mut bytes = case.bytes.clone();
    let known = b"0123456789abcdef";
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(known.len()).position(|part| part == known) {
        at += next;
        bytes[at..at + known.len()].copy_from_slice(hash.as_bytes());
    }
    let path = directory.join(name);
    fs::write(&path, bytes).expect("it can be written");
    path
}

const PATCH: &str = "_ZN4demo5patch17h1111111111111111E";

#[test]
fn lint_calls_functions_by_their_paths() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = patching(directory.path(), "library.so", "1111111111111111");
    let path = path.to_str().expect("UTF-8");
    let report = |format| {
        let run = run(&mut jlctl(&["lint", path, "--format", format]));
        assert_eq!((run.code, run.stderr.as_str()), (1, ""));
        run.stdout
    };
    let text = report("text");
    assert!(text.contains("error JL001 demo::patch: "), "{text}");
    assert!(!text.contains("_ZN"), "{text}");
    let json: Value = serde_json::from_str(&report("json")).expect("it is JSON");
    assert_eq!(json["findings"][0]["function"], PATCH, "as nm shows it");
    let fingerprint = json["findings"][0]["fingerprint"].as_str().expect("a text");
    assert!(fingerprint.contains("demo::patch") && !fingerprint.contains("_ZN"), "{fingerprint}");
    let sarif: Value = serde_json::from_str(&report("sarif")).expect("it is JSON");
    let result = &sarif["runs"][0]["results"][0];
    let function = &result["locations"][0]["logicalLocations"][0];
    assert_eq!([&function["name"], &function["decoratedName"]], ["demo::patch", PATCH]);
    let message = result["message"]["text"].as_str().expect("a text");
    assert!(message.starts_with("demo::patch patches instructions"), "{message}");
    let flow = result["codeFlows"][0].to_string();
    assert!(flow.contains("demo::patch can be entered"), "{flow}");
}

#[test]
fn a_finding_is_known_in_the_next_build_and_suppressed_by_its_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let a = patching(directory.path(), "library.so", "1111111111111111");
    let baseline = directory.path().join("baseline.json");
    let baseline = baseline.to_str().expect("UTF-8");
    let written =
        run(&mut jlctl(&["lint", a.to_str().expect("UTF-8"), "--write-baseline", baseline]));
    assert_eq!(written.stderr, "");
    let b = patching(directory.path(), "library.so", "2222222222222222");
    let b = b.to_str().expect("UTF-8");
    done(&["lint", b, "--baseline", baseline]);
    let config = directory.path().join("lint.toml");
    for function in ["demo::patch", "demo::*", "_ZN4demo*"] {
        let text = format!("[[suppress]]\nfunction = {function:?}\nreason = \"a test\"\n");
        fs::write(&config, text).expect("it can be written");
        let text = done(&["lint", b, "--config", config.to_str().expect("UTF-8")]);
        assert!(text.contains("1 ignored with a reason"), "{text}");
    }
}
