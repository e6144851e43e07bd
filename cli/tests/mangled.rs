//! Every command names keys and functions of Rust and C++ by their demangled paths, and accepts
//! their mangled symbols as well.

use crate::command::{Run, jlctl, run, utf8};
use crate::directory::Directory;
use jlctl_a64::lint_cases;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const TRACE: &str = "_ZN6server5admin5TRACE17h0123456789abcdefE";
/// The statics of two instances of a generic function, which have the same path.
const TWINS: [&str; 2] =
    ["_ZN6server5twins3KEY17h0000000000000001E", "_ZN6server5twins3KEY17h0000000000000002E"];
const ANSWER: &str = "_RNvCsabc123_6server6answer";

/// A program with a key of each kind; `hash` is the hash in the symbol of the first key.
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
    fs::write(&path, spec.link().bytes()).expect("the file is written");
    path
}

fn done(args: &[&str]) -> String {
    let Run { code, stdout, stderr } = run(&mut jlctl(args));
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&done(&[args, &["--format", "json"]].concat()))
        .expect("the report is JSON")
}

#[test]
fn inspect_shows_paths_and_symbols() {
    let directory = Directory::new();
    let path = program(directory.root(), "program", "0123456789abcdef");
    let path = utf8(&path);
    let keys = json(&["inspect", path, "--keys"]);
    let named: Vec<[&str; 2]> = keys["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| ["name", "symbol"].map(|field| key[field].as_str().expect("a text")))
        .collect();
    for key in [
        ["server::admin::TRACE", TRACE],
        // Keys with the same path are distinguished by their symbols.
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
fn the_end_of_a_path_names_a_key_and_ambiguous_ends_are_refused() {
    let directory = Directory::new();
    let path = program(directory.root(), "program", "0123456789abcdef");
    let (path, plan) = (utf8(&path), directory.path("plan.json"));
    let plan = utf8(&plan);
    for name in ["server::admin::TRACE", "admin::TRACE", "TRACE", TRACE] {
        done(&["plan", path, "--enable", name, "-o", plan]);
        let document: Value = serde_json::from_slice(&fs::read(plan).expect("the file is there"))
            .expect("the report is JSON");
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
fn keys_are_matched_across_builds() {
    let directory = Directory::new();
    let a = program(directory.root(), "a", "0123456789abcdef");
    let b = program(directory.root(), "b", "fedcba9876543210");
    let (a, b) = (utf8(&a), utf8(&b));
    let report = json(&["diff", a, b]);
    assert_eq!(report["summary"]["keys"]["added"], 0, "{report:#}");
    assert_eq!(report["summary"]["keys"]["removed"], 0, "{report:#}");
}

/// A library in Rust whose `demo::patch` never synchronises; `hash` is the hash in its symbol.
fn patching(directory: &Path, name: &str, hash: &str) -> PathBuf {
    let all = lint_cases::all();
    let case =
        all.iter().find(|case| case.name == "jl001-user-mangled").expect("the file is there");
    let mut bytes = case.bytes.clone();
    let known = b"0123456789abcdef";
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(known.len()).position(|part| part == known) {
        at += next;
        bytes[at..at + known.len()].copy_from_slice(hash.as_bytes());
    }
    let path = directory.join(name);
    fs::write(&path, bytes).expect("the file is written");
    path
}

const PATCH: &str = "_ZN4demo5patch17h1111111111111111E";

#[test]
fn lint_names_functions_by_their_paths() {
    let directory = Directory::new();
    let path = patching(directory.root(), "library.so", "1111111111111111");
    let path = utf8(&path);
    let report = |format| {
        let run = run(&mut jlctl(&["lint", path, "--format", format]));
        assert_eq!((run.code, run.stderr.as_str()), (1, ""));
        run.stdout
    };
    let text = report("text");
    assert!(text.contains("error JL001 demo::patch: "), "{text}");
    assert!(!text.contains("_ZN"), "{text}");
    let json: Value = serde_json::from_str(&report("json")).expect("the report is JSON");
    assert_eq!(json["findings"][0]["function"], PATCH, "as nm shows it");
    let fingerprint = json["findings"][0]["fingerprint"].as_str().expect("a text");
    assert!(fingerprint.contains("demo::patch") && !fingerprint.contains("_ZN"), "{fingerprint}");
    let sarif: Value = serde_json::from_str(&report("sarif")).expect("the report is JSON");
    let result = &sarif["runs"][0]["results"][0];
    let function = &result["locations"][0]["logicalLocations"][0];
    assert_eq!([&function["name"], &function["decoratedName"]], ["demo::patch", PATCH]);
    let message = result["message"]["text"].as_str().expect("a text");
    assert!(message.starts_with("demo::patch patches instructions"), "{message}");
    let flow = result["codeFlows"][0].to_string();
    assert!(flow.contains("demo::patch can be entered"), "{flow}");
}

#[test]
fn findings_are_matched_across_builds_and_suppressed_by_path() {
    let directory = Directory::new();
    let a = patching(directory.root(), "library.so", "1111111111111111");
    let baseline = directory.path("baseline.json");
    let baseline = utf8(&baseline);
    let written = run(&mut jlctl(&["lint", utf8(&a), "--write-baseline", baseline]));
    assert_eq!(written.stderr, "");
    let b = patching(directory.root(), "library.so", "2222222222222222");
    let b = utf8(&b);
    done(&["lint", b, "--baseline", baseline]);
    let config = directory.path("lint.toml");
    for function in ["demo::patch", "demo::*", "_ZN4demo*"] {
        let text = format!("[[suppress]]\nfunction = {function:?}\nreason = \"a test\"\n");
        fs::write(&config, text).expect("the file is written");
        let text = done(&["lint", b, "--config", utf8(&config)]);
        assert!(text.contains("1 suppressed with a reason"), "{text}");
    }
}
