//! Reports against the expected ones (testdata/golden/expect; `UPDATE_EXPECT=1 cargo test -p jlctl
//! lint::tests` rewrites them), and SARIF against its schema.

use super::baseline as known_findings;
use super::records::{LintDocument, Suppressed};
use super::report::{Layout, write};
use super::samples::{against, baseline, document, finding, known, unused};
use crate::args::LintFormat;
use crate::lint::suppression;
use crate::terminal::output::Sink;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

fn report(document: &LintDocument, format: LintFormat) -> String {
    let mut bytes = Vec::new();
    let layout = Layout { format, width: 80, directory: Path::new("/build/linux") };
    write(document, layout, &mut Sink { writer: &mut bytes, color: false }).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn json(document: &LintDocument, format: LintFormat) -> Value {
    serde_json::from_str(&report(document, format)).unwrap()
}

fn expect(name: &str, text: &str) {
    let path = testdata().join("golden/expect").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{name}: UPDATE_EXPECT=1 cargo test -p jlctl report::lint");
}

/// A document with a baseline and suppressions, one of which matches no finding.
fn judged() -> LintDocument {
    let mut document = document();
    document.findings[1].suppressed = Some(Suppressed::Config);
    document.findings[1].reason = Some("reviewed by hand".to_owned());
    document.unused_suppressions = vec![unused()];
    let in_baseline = vec![known("arch_jump_label_transform"), known("gone_function")];
    let absent = known_findings::mark(&mut document.findings, in_baseline);
    document.baseline = Some(baseline(absent));
    document
}

/// A document compared with a build that lacks one finding and has another.
fn compared() -> LintDocument {
    let mut document = document();
    let other = vec![finding("vmlinux", "bpf_arch_text_poke"), finding("old", "other_patch")];
    document.against = Some(against(suppression::compare(&mut document.findings, other)));
    document
}

#[test]
fn reports_are_as_expected() {
    for (name, document) in
        [("lint", document()), ("lint-judged", judged()), ("lint-against", compared())]
    {
        expect(&format!("{name}.txt"), &report(&document, LintFormat::Text));
        expect(&format!("{name}.json"), &report(&document, LintFormat::Json));
    }
    // The analysis describes the rules.
    let mut sarif = json(&judged(), LintFormat::Sarif);
    sarif["runs"][0]["tool"]["driver"]["rules"] = Value::Null;
    expect("lint-judged.sarif", &format!("{sarif:#}\n"));
}

#[test]
fn lines_fit_a_terminal() {
    for document in [document(), judged(), compared()] {
        let text = report(&document, LintFormat::Text);
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(long, [""; 0]);
        assert!(!text.contains('\u{1b}'));
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }
}

#[test]
fn colour_changes_nothing_else() {
    let mut bytes = Vec::new();
    let layout = Layout { format: LintFormat::Text, width: 80, directory: Path::new("/") };
    write(&document(), layout, &mut Sink { writer: &mut bytes, color: true }).unwrap();
    let stripped = anstream::adapter::strip_bytes(&bytes).into_vec();
    assert!(bytes.len() > stripped.len());
    assert_eq!(String::from_utf8(stripped).unwrap(), report(&document(), LintFormat::Text));
}

#[test]
fn the_contract_is_kept() {
    let report = json(&judged(), LintFormat::Json);
    assert_eq!(report["schema"], "jlctl.lint/1");
    let has = |value: &Value, fields: &[&str]| {
        for field in fields {
            assert!(value.get(field).is_some(), "{field} in {value}");
        }
    };
    has(
        &report["files"][0],
        &["path", "build_id", "functions", "instructions", "patchers", "syncs"],
    );
    has(
        &report["files"][3],
        &["path", "build_id", "functions", "instructions", "patchers", "syncs"],
    );
    let fields = ["rule", "level", "file", "function", "address", "message", "witness"];
    has(&report["findings"][0], &[&fields[..], &["fingerprint", "suppressed"]].concat());
    has(&report["findings"][0]["witness"][0], &["function", "address", "role", "source"]);
    let suppressed = |at: usize| report["findings"][at]["suppressed"].clone();
    assert_eq!(
        [suppressed(0), suppressed(1), suppressed(2)],
        [Value::from("baseline"), Value::from("config"), Value::Null]
    );
}

#[test]
fn sarif_has_its_schema() {
    let schema = std::fs::read(testdata().join("golden/schemas/sarif-2.1.0.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for document in [document(), judged(), compared()] {
        let mut sarif = json(&document, LintFormat::Sarif);
        let errors: Vec<String> = validator
            .iter_errors(&sarif)
            .map(|error| format!("{}: {error}", error.instance_path))
            .collect();
        assert_eq!(errors, [""; 0]);
        sarif["runs"][0]["results"][0]["level"] = "fatal".into();
        assert!(!validator.is_valid(&sarif), "the schema tells right from wrong");
    }
}

#[test]
fn sarif_refers_to_what_is_there() {
    let sarif = json(&judged(), LintFormat::Sarif);
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let artifacts = run["artifacts"].as_array().unwrap();
    let addresses = run["addresses"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        let target = &result["analysisTarget"];
        let artifact = usize::try_from(target["index"].as_u64().unwrap()).unwrap();
        assert_eq!(artifacts[artifact]["location"]["uri"], target["uri"]);
        for location in [&result["locations"][0], &result["relatedLocations"][0]] {
            if let Some(parent) = location["physicalLocation"]["address"]["parentIndex"].as_u64() {
                assert!(usize::try_from(parent).unwrap() < addresses.len());
            }
        }
    }
    let first = &run["results"][0];
    let uri = |location: &Value| location["physicalLocation"]["artifactLocation"]["uri"].clone();
    assert_eq!(uri(&first["locations"][0]), "arch/arm64/kernel/jump_label.c");
    assert_eq!(uri(&first["relatedLocations"][0]), "vmlinux");
    assert_eq!(run["results"][2]["analysisTarget"]["uri"], "lib/odd%20name.ko");
}

#[test]
fn a_file_that_patches_nothing_does_not_pass() {
    let mut document = document();
    document.files.remove(3);
    document.files.drain(..2);
    document.findings.clear();
    let text = report(&document, LintFormat::Text);
    assert!(text.contains("libruby.so.3.1: not applicable"), "{text}");
    assert!(text.ends_with("not applicable: no file that was read patches code\n"), "{text}");
    assert_eq!(json(&document, LintFormat::Json)["files"][0]["applicable"], false);
}
