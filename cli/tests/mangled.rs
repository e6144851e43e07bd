//! Keys and functions of Rust and C++ are called by their paths, in every command; their
//! symbols, mangled as they are, name them too.

mod common;

use common::{Run, jlctl, run};
use jlctl_testdata::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
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
