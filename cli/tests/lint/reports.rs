//! `jlctl lint`: what is read and what is not, exit status, options that are refused, the
//! rules' pages. What findings look like in reports is tested beside the reports.

use crate::command::{DEMO, Run, jlctl, root, run};
use jlctl_a64::lint_cases::{self, LintCase};
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, Machine, SiteSpec};
use rayon::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn lint(args: &[&str]) -> Run {
    run(jlctl(&["lint"]).args(args))
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// An image for `machine` with a site and a function.
fn image(machine: Machine) -> Vec<u8> {
    let spec = ImageSpec { machine, ..ImageSpec::kernel() };
    let spec = spec.key(KeySpec::new("key")).function(FunctionSpec::new("function", "a.c", 16));
    spec.site(SiteSpec::new("function+8", "function+32", "key")).build()
}

#[test]
fn every_file_has_a_line_in_every_format() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("a"), image(Machine::Aarch64)).expect("it can be written");
    fs::write(directory.path().join("notes.txt"), "no image").expect("it can be written");
    let args = [DEMO, text(directory.path()), "--fail-on", "error", "--jobs", "1"];
    let report = lint(&args);
    assert_eq!(report.code, 0, "{report:?}");
    assert_eq!(report.stdout.matches("coverage  ").count(), 2, "{}", report.stdout);
    for words in
        [DEMO, "functions", "instructions", "undecoded words", "syncs", "1 file is no image"]
    {
        assert!(report.stdout.contains(words), "{words:?} in {}", report.stdout);
    }
    let report = json(&lint(&[&args[..], &["--format", "json"]].concat()));
    assert_eq!(report["schema"], "jlctl.lint/1");
    assert_eq!(report["files"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["files"][0]["path"], DEMO);
    assert_eq!(report["summary"]["passed"], 1);
    let sarif = json(&lint(&[&args[..], &["--format", "sarif"]].concat()));
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["artifacts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_number_of_jobs_changes_no_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["a", "b", "c", "d"] {
        fs::write(directory.path().join(name), image(Machine::Aarch64)).expect("it can be written");
    }
    let report = |jobs| lint(&[text(directory.path()), "--format", "json", "--jobs", jobs]).stdout;
    assert_eq!(report("1"), report("3"));
}

#[test]
fn a_file_that_cannot_be_read_fails_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let bad = directory.path().join("bad.ko");
    fs::write(&bad, &image(Machine::Aarch64)[..70]).expect("it can be written");
    let beside = lint(&[DEMO, text(&bad), "missing"]);
    assert_eq!(beside.code, 1, "{beside:?}");
    assert!(beside.stdout.contains("coverage") && beside.stdout.contains("not read"));
    assert!(beside.stdout.contains("2 files could not be read"), "{}", beside.stdout);
    assert_eq!(beside.stderr.matches("not linted").count(), 2, "{}", beside.stderr);
    let alone = lint(&[text(&bad), "missing"]);
    assert_eq!((alone.code, alone.stdout.as_str()), (3, ""), "{alone:?}");
    assert!(alone.stderr.contains("bad.ko") && alone.stderr.contains("missing"));
    let empty = tempfile::tempdir().expect("a directory");
    let nothing = lint(&[text(empty.path())]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (3, ""), "{nothing:?}");
    assert!(nothing.stderr.contains("no images found"), "{}", nothing.stderr);
}

#[test]
fn other_instruction_sets_are_not_sound_but_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let other = directory.path().join("other");
    fs::write(&other, image(Machine::X86_64)).expect("it can be written");
    let alone = lint(&[text(&other)]);
    assert_eq!((alone.code, alone.stdout.as_str()), (4, ""), "{alone:?}");
    assert!(alone.stderr.contains("expected code for arm64, found x86_64"), "{}", alone.stderr);
    let beside = lint(&[DEMO, text(&other)]);
    assert_eq!(beside.code, 0, "{beside:?}");
    assert!(beside.stdout.contains("not applicable"), "{}", beside.stdout);
}

#[test]
fn rules_are_explained() {
    let page = lint(&["--explain", "JL001"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    for words in ["JL001", "Algorithm", "False positives", "False negatives", "History", "Fix"] {
        assert!(page.stdout.contains(words), "{words:?} in {}", page.stdout);
    }
    assert!(page.stdout.lines().all(|line| line.chars().count() <= 80), "{}", page.stdout);
    for args in [&["--explain", "JL999"][..], &[DEMO, "--rules", "JL001,JL999"]] {
        let unknown = lint(args);
        assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""), "{args:?}");
        for words in ["JL999: no such rule", "JL001", "patch without cross-CPU sync"] {
            assert!(unknown.stderr.contains(words), "{words:?} in {}", unknown.stderr);
        }
    }
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    for args in [
        &[DEMO, "--explain", "JL001"][..],
        &[DEMO, "--against", DEMO, "--baseline", "x"],
        &[DEMO, "--against", DEMO, "--write-baseline", "x"],
        &[DEMO, "--fail-on", "nothing"],
        &[DEMO, "--format", "csv"],
        &[DEMO, "--jobs", "0"],
    ] {
        let run = lint(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_baseline_is_written_and_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("baseline.json");
    let written = lint(&[DEMO, "--write-baseline", text(&path)]);
    assert_eq!((written.code, written.stderr.as_str()), (0, ""));
    let document: Value =
        serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("it is JSON");
    assert_eq!(document["schema"], "jlctl.lint-baseline/1");
    // With all that is known nothing fails, whatever there is.
    let again = lint(&[DEMO, "--baseline", text(&path), "--fail-on", "note", "--format", "json"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(json(&again)["baseline"]["absent"], serde_json::json!([]));
    let gone = "{\"schema\":\"jlctl.lint-baseline/1\",\"findings\":[{\"file\":\"vmlinux\",\
        \"rule\":\"JL001\",\"level\":\"error\",\"function\":\"gone\",\"fingerprint\":\"x\"}]}";
    fs::write(&path, gone).expect("it can be written");
    let report = lint(&[DEMO, "--baseline", text(&path)]);
    assert!(report.stdout.contains("gone, vmlinux: not found any more"), "{}", report.stdout);
    let others = lint(&[DEMO, "--baseline", text(&path), "--rules", "JL002"]);
    assert!(!others.stdout.contains("not found any more"), "its rule was left out");
    for wrong in ["", "{\"schema\":\"jlctl.lint/1\"}"] {
        fs::write(&path, wrong).expect("it can be written");
        let run = lint(&[DEMO, "--baseline", text(&path)]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""));
        assert!(run.stderr.contains("baseline.json"), "{}", run.stderr);
    }
    let nowhere = lint(&[DEMO, "--write-baseline", "no/such/directory/baseline.json"]);
    assert_eq!(nowhere.code, 5, "{nowhere:?}");
}

#[test]
fn suppressions_need_a_reason_and_a_use() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lint.toml");
    let config = |toml: &str, more: &[&str]| {
        fs::write(&path, toml).expect("it can be written");
        lint(&[&[DEMO, "--config", text(&path)], more].concat())
    };
    let unused = "[[suppress]]\nfunction = \"no_such_*\"\nreason = \"it was there once\"\n";
    let run = config(unused, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    for report in [&run.stdout, &run.stderr] {
        assert!(report.contains("no_such_*"), "{report}");
    }
    let report = json(&config(unused, &["--format", "json"]));
    assert_eq!(report["unused_suppressions"][0]["reason"], "it was there once");
    for toml in ["[[suppress]]\nfunction = \"f\"\n", "what\n"] {
        let run = config(toml, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{toml}");
        assert!(run.stderr.contains("lint.toml"), "{}", run.stderr);
    }
}

#[test]
fn a_build_is_compared_with_itself() {
    let run = lint(&[DEMO, "--against", DEMO, "--fail-on", "note"]);
    assert_eq!(run.code, 0, "{run:?}");
    for words in ["Syncs lost: 0", "Syncs gained: 0", "against"] {
        assert!(run.stdout.contains(words), "{words:?} in {}", run.stdout);
    }
    let missing = lint(&[DEMO, "--against", "missing"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (3, ""), "{missing:?}");
}

#[test]
fn a_report_goes_into_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lint.sarif");
    let run = lint(&[DEMO, "--format", "sarif", "-o", text(&path)]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let sarif = fs::read_to_string(path).expect("it is there");
    assert!(!sarif.contains(text(&root())), "no paths of this machine");
}

/// The fixture `name`, written into `directory`.
fn case(directory: &Path, name: &str) -> (String, LintCase) {
    let case = lint_cases::all().into_iter().find(|case| case.name == name).expect("the case");
    let path = directory.join(name);
    fs::write(&path, &case.bytes).expect("it can be written");
    (text(&path).to_owned(), case)
}

#[test]
fn a_finding_fails_the_run_until_it_is_known_or_explained() {
    let directory = tempfile::tempdir().expect("a directory");
    let (buggy, _) = case(directory.path(), "jl001-transform");
    let (fixed, _) = case(directory.path(), "jl001-transform-fixed");
    let [baseline, config] = ["baseline.json", "lint.toml"].map(|name| directory.path().join(name));
    let found = lint(&[&buggy]);
    assert_eq!((found.code, found.stderr.as_str()), (1, ""), "{found:?}");
    for words in
        ["error JL001 arch_jump_label_transform", "way", "reaches", "fix", "1 finding fails"]
    {
        assert!(found.stdout.contains(words), "{words:?} in {}", found.stdout);
    }
    assert_eq!(lint(&[&fixed]).code, 0);
    assert_eq!(lint(&[&buggy, "--rules", "JL002,JL003"]).code, 0);
    let written = lint(&[&buggy, "--write-baseline", text(&baseline)]);
    assert_eq!(written.code, 0, "{written:?}");
    let known = lint(&[&buggy, "--baseline", text(&baseline), "--format", "sarif"]);
    assert_eq!(known.code, 0, "{known:?}");
    assert_eq!(json(&known)["runs"][0]["results"][0]["baselineState"], "unchanged");
    let absent = lint(&[&fixed, "--baseline", text(&baseline), "--format", "json"]);
    let absent = json(&absent)["baseline"]["absent"].clone();
    assert_eq!(absent[0]["function"], "arch_jump_label_transform");
    let toml = "[[suppress]]\nrule = \"JL001\"\nfunction = \"arch_*\"\nreason = \"a test\"\n";
    fs::write(&config, toml).expect("it can be written");
    let explained = lint(&[&buggy, "--config", text(&config), "--format", "sarif"]);
    assert_eq!((explained.code, explained.stderr.as_str()), (0, ""));
    let suppression = json(&explained)["runs"][0]["results"][0]["suppressions"][0].clone();
    assert_eq!(
        (&suppression["kind"], &suppression["justification"]),
        (&Value::from("external"), &Value::from("a test"))
    );
}

#[test]
fn builds_differ_in_the_syncs_that_they_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let (buggy, _) = case(directory.path(), "jl001-transform");
    let (fixed, _) = case(directory.path(), "jl001-transform-fixed");
    let lost = lint(&[&buggy, "--against", &fixed]);
    assert_eq!(lost.code, 1, "{lost:?}");
    assert!(lost.stdout.contains("Syncs lost: 1"), "{}", lost.stdout);
    let gained = lint(&[&fixed, "--against", &buggy, "--format", "json"]);
    assert_eq!(gained.code, 0, "{gained:?}");
    assert_eq!(json(&gained)["against"]["gained"][0]["against"], "gained");
    assert_eq!(lint(&[&buggy, "--against", &buggy]).code, 0);
}

#[test]
fn modules_are_linted_with_their_kernel() {
    let directory = tempfile::tempdir().expect("a directory");
    let (module, case) = case(directory.path(), "jl001-module-of-kernel");
    let kernel = directory.path().join("vmlinux");
    fs::write(&kernel, case.kernel.expect("a kernel")).expect("it can be written");
    // In whatever order they are named.
    for files in [[text(&kernel), &module], [&module, text(&kernel)]] {
        let report = json(&lint(&[&files[..], &["--format", "json"]].concat()));
        let findings = report["findings"].as_array().expect("findings");
        let of = |file: &str| -> Vec<&str> {
            let of_file = findings.iter().filter(|finding| finding["file"] == file);
            of_file.filter_map(|finding| finding["function"].as_str()).collect()
        };
        assert_eq!(of(&module), ["demo_open"], "{report}");
        assert_eq!(of(text(&kernel)), ["arch_jump_label_transform"], "{report}");
        assert_eq!(report["files"][0]["path"], files[0], "in the order of the arguments");
    }
    let alone = json(&lint(&[&module, "--format", "json"]));
    assert_eq!(alone["findings"], serde_json::json!([]));
}

/// Rule, level and function of the results in a SARIF log.
fn results(sarif: &Value) -> Vec<[String; 3]> {
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<[String; 3]> = results
        .iter()
        .map(|result| {
            let function = &result["locations"][0]["logicalLocations"][0];
            let symbol = function.get("decoratedName").unwrap_or(&function["name"]);
            [text(&result["ruleId"]), text(&result["level"]), text(symbol)]
        })
        .collect();
    found.sort();
    found
}

/// What is found in each fixture is what must be, in a log that has its schema.
#[test]
fn every_case_is_a_log_with_its_schema() {
    let directory = tempfile::tempdir().expect("a directory");
    let schema =
        fs::read(root().join("testdata/golden/schemas/sarif-2.1.0.json")).expect("the schema");
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    lint_cases::all().par_iter().for_each(|case| {
        let image = directory.path().join(&case.name);
        fs::write(&image, &case.bytes).expect("it can be written");
        let mut files = vec![text(&image).to_owned()];
        if let Some(kernel) = &case.kernel {
            let vmlinux = directory.path().join(format!("{}.vmlinux", case.name));
            fs::write(&vmlinux, kernel).expect("it can be written");
            files.push(text(&vmlinux).to_owned());
        }
        let files = files.iter().map(String::as_str);
        let args: Vec<&str> = files.chain(["--format", "sarif", "--fail-on", "note"]).collect();
        let run = lint(&args);
        assert_eq!(run.code, i32::from(!case.is_sound()), "{}: {}", case.name, run.stderr);
        let sarif = json(&run);
        let errors: Vec<String> = validator
            .iter_errors(&sarif)
            .map(|error| format!("{}: {error}", error.instance_path))
            .collect();
        assert_eq!(errors, [""; 0], "{}", case.name);
        let mut expected: Vec<[String; 3]> = case
            .expected
            .iter()
            .map(|(rule, level, function)| [rule, level, function].map(|text| (*text).to_owned()))
            .collect();
        expected.sort();
        assert_eq!(results(&sarif), expected, "{}", case.name);
    });
}
