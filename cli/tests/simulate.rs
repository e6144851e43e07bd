//! `jlctl simulate`: golden output, litmus tests, refusals.
//! `UPDATE_EXPECT=1 cargo test -p jlctl simulate::` rewrites testdata/golden/expect.

use crate::command::{DEMO, Run, jlctl, of_program, run, utf8};
use crate::directory::Directory;
use crate::golden::expect;
use jlctl_synthetic::demo;
use jlctl_synthetic::spec::FunctionSpec;
use std::fs;
use std::path::Path;

fn simulate(args: &[&str]) -> Run {
    run(jlctl(&["simulate"]).args(args))
}

/// A plan for `image`, written into `directory`.
fn plan(directory: &Path, image: &str) -> String {
    let path = directory.join("plan.json");
    let made = run(jlctl(&["plan", image, "--flip", "demo_*_key", "-o"]).arg(&path));
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    utf8(&path).to_owned()
}

#[test]
fn text_json_and_svg_are_as_expected() {
    let directory = Directory::new();
    let plan = plan(directory.root(), DEMO);
    let svg = directory.path("defect.svg");
    for (name, format) in [("simulate.txt", "text"), ("simulate.json", "json")] {
        let args = ["--strategy", "isb-self,kick,kick+no-ic", "--format", format, "--svg"];
        let run = simulate(&[&[&plan[..], DEMO], &args[..], &[utf8(&svg)]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (1, ""));
        expect(name, &run.stdout.replace(&plan, "plan.json"));
    }
    expect("simulate.svg", &fs::read_to_string(svg).expect("it was written"));
}

#[test]
fn the_strategy_defaults_to_that_of_the_kernel() {
    let directory = Directory::new();
    let image = directory.path("vmlinux");
    let function = |name| FunctionSpec::new(name, "arch/arm64/kernel/jump_label.c", 8);
    let defect = demo::spec().function(function("arch_jump_label_transform"));
    let fixed = demo::spec()
        .function(function("arch_jump_label_transform_queue"))
        .function(function("arch_jump_label_transform_apply"));
    for (spec, code, words) in [
        (defect, 1, "isb-self, as the kernel's code does"),
        (fixed, 0, "kick, as the kernel's code does"),
        (demo::spec(), 0, "kick, as the plan's batches end"),
    ] {
        fs::write(&image, spec.build()).expect("the file is written");
        let plan = plan(directory.root(), utf8(&image));
        let run = simulate(&[&plan]);
        assert_eq!((run.code, run.stderr.as_str()), (code, ""));
        assert!(run.stdout.contains(words), "{words:?} in {}", run.stdout);
        assert_eq!(run.stdout.contains("<== STALE"), code == 1);
    }
    // Without the image the plan alone is simulated, and the report says so.
    let plan = plan(directory.root(), utf8(&image));
    fs::remove_file(&image).expect("it was there");
    let run = simulate(&[&plan]);
    assert_eq!(run.code, 0);
    assert!(
        run.stdout.contains("not read: it does not exist, or is not an image"),
        "{}",
        run.stdout
    );
    assert_eq!(simulate(&[&plan, utf8(&image)]).code, 3);
    let other = demo::spec().function(function("another_image"));
    fs::write(&image, other.build()).expect("the file is written");
    assert_eq!(simulate(&[&plan, utf8(&image)]).code, 4, "another image");
    let run = simulate(&[&plan]);
    assert!(run.stdout.contains("not read: the file has changed"), "{}", run.stdout);
}

#[test]
fn inputs_that_cannot_be_simulated_are_refused() {
    let directory = Directory::new();
    let plan = plan(directory.root(), DEMO);
    let other = directory.path("other.json");
    let edited = fs::read_to_string(&plan).expect("the file is there");
    fs::write(&other, edited.replacen("\"arm64\"", "\"x86_64\"", 1)).expect("the file is written");
    for (args, code, words) in [
        (&[utf8(&other)][..], 4, "the plan is for x86_64: only arm64 is modelled"),
        (&["nothing.json"], 3, "cannot read the plan"),
        (&[&plan, "--pes", "1"], 2, "--pes"),
        (&[&plan, "--pes", "99"], 2, "--pes"),
        (&[&plan, "--strategy", "magic"], 2, "--strategy magic: expected all or one of nosync"),
        (&[&plan, "--max-states", "0"], 2, "--max-states"),
        (&[&plan, "--litmus", "x"], 2, "cannot be used with"),
        (&[], 2, "required"),
    ] {
        let run = simulate(args);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{words:?} in {}", run.stderr);
    }
    let run = simulate(&[&plan, "--max-states", "9"]);
    assert_eq!(run.code, 1, "unknown is not safe");
    assert!(run.stdout.contains("unknown: more states than the bound"), "{}", run.stdout);
}

const LITMUS: &str = "AArch64 own+message
{ 0:X1=x; 0:X2=y; 0:X3=1; 1:X1=x; 1:X2=y; }
P0          | P1          ;
STR W3,[X1] | LDR W4,[X2] ;
STR W3,[X2] | LDR W5,[X1] ;
exists (1:X4=1 /\\ 1:X5=0)
";

#[test]
fn litmus_tests_are_judged_in_the_order_given() {
    let directory = Directory::new();
    let file = |name: &str, content: &str| {
        let path = directory.path(name);
        fs::write(&path, content).expect("the file is written");
        utf8(&path).to_owned()
    };
    let a = file("a.litmus", LITMUS);
    let ordered = LITMUS.replace("STR W3,[X2] | LDR W5", "DMB SY | DMB SY;\nSTR W3,[X2] | LDR W5");
    let b = file(
        "b.litmus",
        &ordered
            .replace("own+", "CacheType=IDC\n")
            .replacen("CacheType=IDC\n", "own+", 1)
            .replace("{ 0", "CacheType=IDC\n{ 0"),
    );
    let run = simulate(&["--litmus", &a, &b]);
    let lines: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split('\t').collect()).collect();
    let verdicts: Vec<&[&str]> = lines.iter().map(|line| &line[..3]).collect();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let name = "own+message";
    assert_eq!(
        verdicts,
        [
            [name, "dic0-idc0", "Allowed"],
            [name, "dic0-idc1", "Allowed"],
            [name, "dic1-idc1", "Allowed"],
            [name, "dic0-idc1", "Forbidden"],
        ]
    );
    let json = simulate(&["--litmus", &b, "--cache", "dic1-idc1", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("the report is JSON");
    assert_eq!(json["schema"], "jlctl.simulate/1");
    assert_eq!(json["litmus"][0]["verdicts"][0]["cache"], "dic1-idc1");
    let bad = file("bad.litmus", &LITMUS.replace("LDR W4", "LDXR W4"));
    let run = simulate(&["--litmus", &bad, &a]);
    assert_eq!((run.code, run.stdout.lines().count()), (3, 3), "the others are judged");
    assert!(run.stderr.contains("bad.litmus: line 4: the instruction \"LDXR W4,[X2]\""));
    assert_eq!(simulate(&["--litmus", "nothing.litmus"]).code, 3);
    let run = simulate(&["--litmus", &a, "--max-states", "2"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("Unknown"), "{}", run.stdout);
}

#[test]
fn ctrl_c_ends_with_a_partial_result() {
    let directory = Directory::new();
    let path = directory.path("long.litmus");
    let load = "LDR W4,[X1] | LDR W4,[X1] | LDR W4,[X1] | LDR W4,[X1] ;\n";
    let long = format!(
        "AArch64 long\n{{ 0:X1=x; 1:X1=x; 2:X1=x; 3:X1=x; }}\nP0 | P1 | P2 | P3 ;\n{}exists 0:X4=7",
        load.repeat(16)
    );
    fs::write(&path, long).expect("the file is written");
    let mut command = of_program(
        Path::new("timeout"),
        &["--preserve-status", "--signal=INT", "0.5", env!("CARGO_BIN_EXE_jlctl")],
    );
    command.args(["simulate", "--max-states", "100000000", "--cache", "dic1-idc1", "--litmus"]);
    let output = command.arg(&path).output().expect("timeout starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("Unknown"), "{stdout}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("partial"));
}
