//! `jlctl lint`: its inputs, exit status, refused options and rule pages.  The form of findings
//! in reports is tested beside the reports.

use crate::command::{DEMO, Run, jlctl, root, run, utf8};
use crate::directory::Directory;
use jlctl_a64::lint_cases::{self, LintCase};
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, Machine, SiteSpec};
use rayon::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn lint(args: &[&str]) -> Run {
    run(jlctl(&["lint"]).args(args))
}

/// An image for `machine` with a site and a function.
fn image(machine: Machine) -> Vec<u8> {
    let spec = ImageSpec { machine, ..ImageSpec::kernel() };
    let spec = spec.key(KeySpec::new("key")).function(FunctionSpec::new("function", "a.c", 16));
    spec.site(SiteSpec::new("function+8", "function+32", "key")).build()
}

#[test]
fn every_file_is_listed_in_every_format() {
    let directory = Directory::new();
    directory.write("a", image(Machine::Aarch64));
    directory.write("notes.txt", "no image");
    let args = [DEMO, utf8(directory.root()), "--fail-on", "error", "--jobs", "1"];
    let report = lint(&args);
    assert_eq!(report.code, 0, "{report:?}");
    assert_eq!(report.stdout.matches("coverage  ").count(), 2, "{}", report.stdout);
    for words in
        [DEMO, "functions", "instructions", "undecoded words", "syncs", "1 file is not an image"]
    {
        assert!(report.stdout.contains(words), "{words:?} in {}", report.stdout);
    }
    let report = lint(&[&args[..], &["--format", "json"]].concat()).json();
    assert_eq!(report["schema"], "jlctl.lint/1");
    assert_eq!(report["files"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["files"][0]["path"], DEMO);
    assert_eq!(report["summary"]["passed"], 1);
    let sarif = lint(&[&args[..], &["--format", "sarif"]].concat()).json();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["artifacts"].as_array().map(Vec::len), Some(2));
}

/// A member of an archive, as ar writes it.
fn member(name: &str, size: usize, bytes: &[u8]) -> Vec<u8> {
    let name = format!("{name}/");
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, "100644");
    [header.as_bytes(), bytes, &b"\n"[..bytes.len() % 2]].concat()
}

/// The paths of the files of a report, and the number of findings of each.
fn files(report: &Value) -> Vec<(String, usize)> {
    let all = report["files"].as_array().expect("files");
    let findings = report["findings"].as_array().expect("findings");
    let of = |file: &Value| {
        let own = findings.iter().filter(|found| found["file"] == file["path"]).count();
        (file["path"].as_str().expect("a path").to_owned(), own)
    };
    all.iter().map(of).collect()
}

#[test]
fn each_member_of_an_archive_is_a_file() {
    let cases = lint_cases::all();
    let bytes_of = |name| &cases.iter().find(|case| case.name == name).expect("the case").bytes;
    let (defect, sound) = (bytes_of("jl001-user-object"), bytes_of("user-object-counter"));
    let directory = Directory::new();
    let whole = [
        b"!<arch>\n".to_vec(),
        member("part.o", defect.len(), defect),
        member("sound.o", sound.len(), sound),
        member("notes.txt", 4, b"text"),
    ]
    .concat();
    directory.write("lib.a", &whole);
    directory.write("part.o", defect);
    directory
        .write("thin.a", [b"!<thin>\n".to_vec(), member("part.o", defect.len(), b"")].concat());
    directory.write("cut.a", &whole[..whole.len() - 2]);
    let lint =
        |name: &str| lint(&[utf8(&directory.path(name)), "--format", "json", "--fail-on", "error"]);
    let name = |archive: &str, part| format!("{}({part})", utf8(&directory.path(archive)));
    let report = lint("lib.a");
    assert_eq!(report.code, 1, "{report:?}");
    let report = report.json();
    assert_eq!(files(&report), [(name("lib.a", "part.o"), 1), (name("lib.a", "sound.o"), 0)]);
    assert_eq!(report["summary"]["passed"], 1, "the text");
    assert_eq!(files(&lint("thin.a").json()), [(name("thin.a", "part.o"), 1)]);
    let cut: Value = serde_json::from_str(&lint("cut.a").stdout).expect("JSON");
    assert_eq!(files(&cut).len(), 3, "{cut}");
    let error = cut["files"][2]["error"].as_str().unwrap_or_default();
    assert!(error.contains("damaged archive: notes.txt ends beyond the file"), "{error}");
    directory.write("empty.a", "!<arch>\n");
    assert_eq!(lint("empty.a").code, 3, "nothing was checked");
}

#[test]
fn the_report_does_not_depend_on_the_number_of_jobs() {
    let directory = Directory::new();
    for name in ["a", "b", "c", "d"] {
        directory.write(name, image(Machine::Aarch64));
    }
    let report = |jobs| lint(&[utf8(directory.root()), "--format", "json", "--jobs", jobs]).stdout;
    assert_eq!(report("1"), report("3"));
}

#[test]
fn a_file_that_cannot_be_read_fails_the_run() {
    let directory = Directory::new();
    let bad = directory.path("bad.ko");
    fs::write(&bad, &image(Machine::Aarch64)[..70]).expect("the file is written");
    let beside = lint(&[DEMO, utf8(&bad), "missing"]);
    assert_eq!(beside.code, 1, "{beside:?}");
    assert!(beside.stdout.contains("coverage") && beside.stdout.contains("not read"));
    assert!(beside.stdout.contains("2 files could not be read"), "{}", beside.stdout);
    assert_eq!(beside.stderr.matches("not linted").count(), 2, "{}", beside.stderr);
    let alone = lint(&[utf8(&bad), "missing"]);
    assert_eq!((alone.code, alone.stdout.as_str()), (3, ""), "{alone:?}");
    assert!(alone.stderr.contains("bad.ko") && alone.stderr.contains("missing"));
    let empty = Directory::new();
    let nothing = lint(&[utf8(empty.root())]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (3, ""), "{nothing:?}");
    assert!(nothing.stderr.contains("no images found"), "{}", nothing.stderr);
}

#[test]
fn other_instruction_sets_are_refused() {
    let directory = Directory::new();
    let other = directory.path("other");
    fs::write(&other, image(Machine::X86_64)).expect("the file is written");
    let alone = lint(&[utf8(&other)]);
    assert_eq!((alone.code, alone.stdout.as_str()), (4, ""), "{alone:?}");
    assert!(alone.stderr.contains("expected code for arm64, found x86_64"), "{}", alone.stderr);
    let beside = lint(&[DEMO, utf8(&other)]);
    assert_eq!(beside.code, 0, "{beside:?}");
    assert!(beside.stdout.contains("not applicable"), "{}", beside.stdout);
}

#[test]
fn explain_prints_the_page_of_a_rule() {
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
fn conflicting_options_are_refused() {
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
    let directory = Directory::new();
    let path = directory.path("baseline.json");
    let written = lint(&[DEMO, "--write-baseline", utf8(&path)]);
    assert_eq!((written.code, written.stderr.as_str()), (0, ""));
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file is there"))
        .expect("the report is JSON");
    assert_eq!(document["schema"], "jlctl.lint-baseline/1");
    // Known findings do not fail the run, at whatever level.
    let again = lint(&[DEMO, "--baseline", utf8(&path), "--fail-on", "note", "--format", "json"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["baseline"]["absent"], serde_json::json!([]));
    let gone = "{\"schema\":\"jlctl.lint-baseline/1\",\"findings\":[{\"file\":\"vmlinux\",\
        \"rule\":\"JL001\",\"level\":\"error\",\"function\":\"gone\",\"fingerprint\":\"x\"}]}";
    fs::write(&path, gone).expect("the file is written");
    let report = lint(&[DEMO, "--baseline", utf8(&path)]);
    assert!(report.stdout.contains("gone, vmlinux: no longer found"), "{}", report.stdout);
    let others = lint(&[DEMO, "--baseline", utf8(&path), "--rules", "JL002"]);
    assert!(!others.stdout.contains("no longer found"), "findings of other rules are not compared");
    for wrong in ["", "{\"schema\":\"jlctl.lint/1\"}"] {
        fs::write(&path, wrong).expect("the file is written");
        let run = lint(&[DEMO, "--baseline", utf8(&path)]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""));
        assert!(run.stderr.contains("baseline.json"), "{}", run.stderr);
    }
    let nowhere = lint(&[DEMO, "--write-baseline", "no/such/directory/baseline.json"]);
    assert_eq!(nowhere.code, 5, "{nowhere:?}");
}

#[test]
fn suppressions_need_a_reason_and_unused_ones_are_reported() {
    let directory = Directory::new();
    let path = directory.path("lint.toml");
    let config = |toml: &str, more: &[&str]| {
        fs::write(&path, toml).expect("the file is written");
        lint(&[&[DEMO, "--config", utf8(&path)], more].concat())
    };
    let unused = "[[suppress]]\nfunction = \"no_such_*\"\nreason = \"it was there once\"\n";
    let run = config(unused, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    for report in [&run.stdout, &run.stderr] {
        assert!(report.contains("no_such_*"), "{report}");
    }
    let report = config(unused, &["--format", "json"]);
    let report: Value = serde_json::from_str(&report.stdout).expect("the report is JSON");
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
    let directory = Directory::new();
    let path = directory.path("lint.sarif");
    let run = lint(&[DEMO, "--format", "sarif", "-o", utf8(&path)]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let sarif = fs::read_to_string(path).expect("the file is there");
    assert!(!sarif.contains(utf8(&root())), "the log has no paths of this machine");
}

/// The fixture `name`, written into `directory`.
fn case(directory: &Path, name: &str) -> (String, LintCase) {
    let case = lint_cases::all().into_iter().find(|case| case.name == name).expect("the case");
    let path = directory.join(name);
    fs::write(&path, &case.bytes).expect("the file is written");
    (utf8(&path).to_owned(), case)
}

#[test]
fn a_finding_fails_the_run_unless_a_baseline_or_a_suppression_has_it() {
    let directory = Directory::new();
    let (buggy, _) = case(directory.root(), "jl001-transform");
    let (fixed, _) = case(directory.root(), "jl001-transform-fixed");
    let [baseline, config] = ["baseline.json", "lint.toml"].map(|name| directory.path(name));
    let found = lint(&[&buggy]);
    assert_eq!((found.code, found.stderr.as_str()), (1, ""), "{found:?}");
    for words in
        ["error JL001 arch_jump_label_transform", "path", "reaches", "fix", "1 finding fails"]
    {
        assert!(found.stdout.contains(words), "{words:?} in {}", found.stdout);
    }
    assert_eq!(lint(&[&fixed]).code, 0);
    assert_eq!(lint(&[&buggy, "--rules", "JL002,JL003"]).code, 0);
    let written = lint(&[&buggy, "--write-baseline", utf8(&baseline)]);
    assert_eq!(written.code, 0, "{written:?}");
    let known = lint(&[&buggy, "--baseline", utf8(&baseline), "--format", "sarif"]);
    assert_eq!(known.code, 0, "{known:?}");
    assert_eq!(known.json()["runs"][0]["results"][0]["baselineState"], "unchanged");
    let absent = lint(&[&fixed, "--baseline", utf8(&baseline), "--format", "json"]);
    let absent = absent.json()["baseline"]["absent"].clone();
    assert_eq!(absent[0]["function"], "arch_jump_label_transform");
    let toml = "[[suppress]]\nrule = \"JL001\"\nfunction = \"arch_*\"\nreason = \"a test\"\n";
    fs::write(&config, toml).expect("the file is written");
    let explained = lint(&[&buggy, "--config", utf8(&config), "--format", "sarif"]);
    assert_eq!((explained.code, explained.stderr.as_str()), (0, ""));
    let suppression = explained.json()["runs"][0]["results"][0]["suppressions"][0].clone();
    assert_eq!(
        (&suppression["kind"], &suppression["justification"]),
        (&Value::from("external"), &Value::from("a test"))
    );
}

#[test]
fn lost_and_gained_syncs_are_reported() {
    let directory = Directory::new();
    let (buggy, _) = case(directory.root(), "jl001-transform");
    let (fixed, _) = case(directory.root(), "jl001-transform-fixed");
    let lost = lint(&[&buggy, "--against", &fixed]);
    assert_eq!(lost.code, 1, "{lost:?}");
    assert!(lost.stdout.contains("Syncs lost: 1"), "{}", lost.stdout);
    let gained = lint(&[&fixed, "--against", &buggy, "--format", "json"]);
    assert_eq!(gained.code, 0, "{gained:?}");
    assert_eq!(gained.json()["against"]["gained"][0]["against"], "gained");
    assert_eq!(lint(&[&buggy, "--against", &buggy]).code, 0);
}

#[test]
fn modules_are_linted_with_their_kernel() {
    let directory = Directory::new();
    let (module, case) = case(directory.root(), "jl001-module-of-kernel");
    let kernel = directory.path("vmlinux");
    fs::write(&kernel, case.kernel.expect("a kernel")).expect("the file is written");
    // The order of the arguments does not matter.
    for files in [[utf8(&kernel), &module], [&module, utf8(&kernel)]] {
        let report = lint(&[&files[..], &["--format", "json"]].concat()).json();
        let findings = report["findings"].as_array().expect("findings");
        let of = |file: &str| -> Vec<&str> {
            let of_file = findings.iter().filter(|finding| finding["file"] == file);
            of_file.filter_map(|finding| finding["function"].as_str()).collect()
        };
        assert_eq!(of(&module), ["demo_open"], "{report}");
        assert_eq!(of(utf8(&kernel)), ["arch_jump_label_transform"], "{report}");
        assert_eq!(report["files"][0]["path"], files[0], "in the order of the arguments");
    }
    let alone = lint(&[&module, "--format", "json"]).json();
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

#[test]
fn sarif_logs_of_every_case_match_the_schema_and_the_expected_findings() {
    let directory = Directory::new();
    let schema =
        fs::read(root().join("testdata/golden/schemas/sarif-2.1.0.json")).expect("the schema");
    let schema: Value = serde_json::from_slice(&schema).expect("the report is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is valid");
    lint_cases::all().par_iter().for_each(|case| {
        let image = directory.path(&case.name);
        fs::write(&image, &case.bytes).expect("the file is written");
        let mut files = vec![utf8(&image).to_owned()];
        if let Some(kernel) = &case.kernel {
            let vmlinux = directory.path(&format!("{}.vmlinux", case.name));
            fs::write(&vmlinux, kernel).expect("the file is written");
            files.push(utf8(&vmlinux).to_owned());
        }
        let files = files.iter().map(String::as_str);
        let args: Vec<&str> = files.chain(["--format", "sarif", "--fail-on", "note"]).collect();
        let run = lint(&args);
        assert_eq!(run.code, i32::from(!case.is_sound()), "{}: {}", case.name, run.stderr);
        let sarif = run.json();
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
