//! Litmus tests for every instruction of the subset and every rule of the model.

use jlctl_patch_engine::simulate::explore::{Bounds, Incomplete};
use jlctl_patch_engine::simulate::litmus::{Answer, Judged, Litmus};
use jlctl_patch_engine::simulate::machine::{CacheType, Rule, RuleSet};
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A test with its answers, A(llowed) or F(orbidden), for DIC=0 IDC=0, DIC=0 IDC=1, DIC=1 IDC=1.
type Case = (&'static str, String, &'static str);

fn parse(text: &str) -> Litmus {
    Litmus::parse(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

fn judge(text: &str, cache: CacheType, rules: RuleSet) -> Judged {
    parse(text).judge(cache, rules, Bounds::default(), &NEVER).expect("all accesses have places")
}

/// Columns of instructions, from a list for each process.
fn test(init: &str, columns: &[&[&str]], condition: &str) -> String {
    let names: Vec<String> = (0..columns.len()).map(|at| format!("P{at}")).collect();
    let mut text = format!("AArch64 own\n{{ {init} }}\n{} ;\n", names.join(" | "));
    for row in 0..columns.iter().map(|column| column.len()).max().unwrap_or(0) {
        let cells: Vec<&str> =
            columns.iter().map(|column| column.get(row).copied().unwrap_or("")).collect();
        text += &format!("{} ;\n", cells.join(" | "));
    }
    text + condition
}

/// X1 is the patched function, X0 its new first word, X2 a flag, X3 one.
const SHARED: &str = "0:X0=instr:\"NOP\"; 0:X1=P1:f; 0:X2=x; 0:X3=1; 1:X2=x; 1:X1=P1:f; 1:X5=z;";
const STALE: &str = "exists (1:X0=1 /\\ 1:X9=1)";
/// The function sets X9 to 1 with its first branch, and to 2 with NOP instead.
const F: [&str; 6] = ["B end", "f: B old", "MOV W9,#2", "RET", "old: MOV W9,#1", "RET"];

/// PE 0 executes `writer`; PE 1 loads the flag, executes `reader`, and calls the function.
fn flip(writer: &[&'static str], reader: &[&'static str]) -> String {
    let call = ["BL f"];
    let reader: Vec<&str> = ["LDR W0,[X2]"]
        .iter()
        .chain(reader)
        .chain(&call)
        .chain(&F)
        .chain(&["end:"])
        .copied()
        .collect();
    test(SHARED, &[writer, &reader], STALE)
}

const SYNC: [&str; 2] = ["CBNZ W0,go", "go: ISB"];
const CLEAN: [&str; 5] = ["STR W0,[X1]", "DC CVAU,X1", "DSB ISH", "IC IVAU,X1", "DSB ISH"];
const FLAG: &str = "STR W3,[X2]";
const CACHESYNC: [&str; 5] = ["DC CVAU,X1", "DSB ISH", "IC IVAU,X1", "DSB ISH", "ISB"];

fn joined(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

fn message(writer: &'static str, reader: &'static str) -> String {
    test(
        "0:X1=x; 0:X2=y; 0:X3=1; 1:X1=x; 1:X2=y;",
        &[&["STR W3,[X1]", writer, "STR W3,[X2]"], &["LDR W4,[X2]", reader, "LDR W5,[X1]"]],
        "exists (1:X4=1 /\\ 1:X5=0)",
    )
}

fn buffered(first: &[&'static str], second: &[&'static str]) -> String {
    test(
        "0:X1=x; 0:X2=y; 0:X3=1; 0:X7=z; 1:X1=x; 1:X2=y; 1:X3=1; 1:X7=z;",
        &[
            &joined(&[&["LDR W4,[X1]"], first, &["STR W3,[X2]"]]),
            &joined(&[&["LDR W4,[X2]"], second, &["STR W3,[X1]"]]),
        ],
        "exists (0:X4=1 /\\ 1:X4=1)",
    )
}

fn cases() -> Vec<Case> {
    let flag: &[&str] = &[FLAG];
    let full = joined(&[&CLEAN, flag]);
    let plain = ["STR W0,[X1]", "DMB SY", FLAG];
    let control: &[&str] = &["CBNZ W4,go", "go: NOP"];
    vec![
        ("fix", flip(&full, &SYNC), "FFF"),
        ("no isb", flip(&full, &SYNC[..1].iter().map(|_| "NOP").collect::<Vec<_>>()), "AAA"),
        ("isb without branch", flip(&full, &["ISB"]), "AAA"),
        ("dmb is no isb", flip(&full, &["DMB SY"]), "AAA"),
        ("no maintenance", flip(&plain, &SYNC), "AAF"),
        ("no ic", flip(&["STR W0,[X1]", "DC CVAU,X1", "DSB SY", FLAG], &SYNC), "AAF"),
        ("no dc", flip(&["STR W0,[X1]", "DSB SY", "IC IVAU,X1", "DSB SY", FLAG], &SYNC), "AFF"),
        ("dmb after ic", flip(&joined(&[&CLEAN[..4], &["DMB SY"], flag]), &SYNC), "AAF"),
        ("local ic", flip(&joined(&[&CLEAN[..3], &["IC IALLU", "DSB ISH"], flag]), &SYNC), "AAF"),
        ("address isb", flip(&full, &["EOR X4,X0,X0", "LDR X6,[X5,X4]", "ISB"]), "FFF"),
        ("isb before address", flip(&full, &["ISB", "EOR X4,X0,X0", "LDR X6,[X5,X4]"]), "AAA"),
        ("reader cleans, dmb", flip(&plain, &joined(&[&["DMB SY"], &CACHESYNC])), "FFF"),
        ("reader cleans, dsb", flip(&plain, &joined(&[&["DSB SY"], &CACHESYNC])), "FFF"),
        ("reader cleans, dsb ld", flip(&plain, &joined(&[&["DSB LD"], &CACHESYNC])), "FFF"),
        ("reader cleans, dmb ld", flip(&plain, &joined(&[&["DMB LD"], &CACHESYNC])), "AFF"),
        (
            "reader cleans, branch",
            flip(&plain, &joined(&[&["CBNZ W0,go", "go: NOP"], &CACHESYNC])),
            "FFF",
        ),
        ("reader cleans", flip(&plain, &CACHESYNC), "AFF"),
        (
            "own code",
            test(
                "0:X0=NOP; 0:X1=P0:f;",
                &[&joined(&[&CLEAN, &["ISB", "BL f"], &F, &["end:"]])],
                "exists 0:X9=1",
            ),
            "FFF",
        ),
        (
            "own code, unordered isb",
            test(
                "0:X0=NOP; 0:X1=P0:f;",
                &[&joined(&[&CLEAN[..4], &["ISB", "BL f"], &F, &["end:"]])],
                "exists 0:X9=1",
            ),
            "AAF",
        ),
        (
            "iallu",
            test(
                "0:X0=NOP; 0:X1=P0:f;",
                &[&joined(&[&CLEAN[..3], &["IC IALLU", "DSB ISH", "ISB", "BL f"], &F, &["end:"]])],
                "exists 0:X9=1",
            ),
            "FFF",
        ),
        (
            "fetches go back",
            test(
                "0:X0=NOP; 0:X1=P1:f;",
                &[&["STR W0,[X1]"], &joined(&[&["BL f", "MOV W10,W9", "BL f"], &F, &["end:"]])],
                "exists (1:X10=2 /\\ 1:X9=1)",
            ),
            "AAF",
        ),
        (
            "fetch, then load",
            test(
                "0:X0=NOP; 0:X1=P1:f; 1:X1=P1:f;",
                &[&["STR W0,[X1]"], &joined(&[&["BL f", "LDR W10,[X1]"], &F, &["end:"]])],
                "exists (1:X9=2 /\\ ~(1:X10=NOP))",
            ),
            "FFF",
        ),
        ("mp", message("NOP", "NOP"), "AAA"),
        ("mp dmb", message("DMB SY", "DMB ISH"), "FFF"),
        ("mp st ld", message("DMB ST", "DMB LD"), "FFF"),
        ("mp dmb st st", message("DMB ST", "DMB ST"), "AAA"),
        ("mp dsb", message("DSB ISHST", "DSB ISHLD"), "FFF"),
        ("mp dsb full", message("DSB SY", "DSB ISH"), "FFF"),
        (
            "mp release",
            test(
                "0:X1=x; 0:X2=y; 0:X3=1; 1:X1=x; 1:X2=y;",
                &[&["STR W3,[X1]", "STLR W3,[X2]"], &["LDR W4,[X2]", "DMB LD", "LDR W5,[X1]"]],
                "exists (1:X4=1 /\\ 1:X5=0)",
            ),
            "FFF",
        ),
        ("lb", buffered(&[], &[]), "AAA"),
        ("lb branches", buffered(control, control), "FFF"),
        ("lb one branch", buffered(control, &[]), "AAA"),
        (
            "lb addresses",
            buffered(
                &["AND X5,X4,XZR", "LDR W6,[X7,X5]"],
                &["EOR W5,W4,W4", "LDR W6,[X7,W5,SXTW]"],
            ),
            "FFF",
        ),
        (
            "lb conditions",
            buffered(
                &["CMP W4,#1", "B.NE go", "go: NOP"],
                &["CMP W4,W3", "CSET W5,EQ", "TBZ W5,#0,go", "go: NOP"],
            ),
            "FFF",
        ),
        (
            "coww",
            test("0:X1=x; 0:X2=1; 0:X3=2;", &[&["STR W2,[X1]", "STR W3,[X1]"]], "exists [x]=1"),
            "FFF",
        ),
        (
            "corr",
            test(
                "0:X1=x; 0:X2=1; 1:X1=x;",
                &[&["STR W2,[X1]"], &["LDR W3,[X1]", "LDR W4,[X1]"]],
                "exists (1:X3=1 /\\ 1:X4=0)",
            ),
            "FFF",
        ),
        (
            "cowr",
            test("0:X1=x; 0:X2=1;", &[&["STR W2,[X1]", "LDR W3,[X1]"]], "exists 0:X3=0"),
            "FFF",
        ),
        (
            "cowr, late address",
            test(
                "0:X1=x; 0:X2=1; 0:X5=p; p=x;",
                &[&["LDR X6,[X5]", "STR W2,[X6]", "LDR W3,[X1]"]],
                "exists 0:X3=0",
            ),
            "FFF",
        ),
        (
            "other branches",
            test(
                "0:X1=P0:f;",
                &[&[
                    "ADR X2,g",
                    "BLR X1",
                    "ADD W4,W3,#1",
                    "BR X2",
                    "MOV W4,#9",
                    "f: MOV W3,#4",
                    "RET",
                    "g: SUB W5,W4,#5",
                    "CBZ W5,end",
                    "MOV W4,#8",
                    "end: ORR W6,W4,W5",
                ]],
                "forall (0:X4=5 /\\ 0:X6=5)",
            ),
            "AAA",
        ),
        (
            "not modifiable",
            test(
                "0:X0=0x52800049; 0:X1=P1:f;",
                &[&["STR W0,[X1]"], &["f: MOV W9,#1", "NOP"]],
                "exists 1:X9=2",
            ),
            "AAA",
        ),
    ]
}

#[test]
fn litmus_tests_have_the_expected_answers() {
    for (name, text, expected) in cases() {
        for (cache, expected) in CacheType::ALL.into_iter().zip(expected.chars()) {
            let judged = judge(&text, cache, RuleSet::all());
            let answer = judged.answer.name();
            assert!(answer.starts_with(expected), "{name}, {}: {answer}\n{text}", cache.name());
            assert_eq!(judged.unpredictable, name == "not modifiable", "{name}");
        }
    }
}

/// With a `select`ed address, stores alone wait for the condition.
#[test]
fn a_selected_address_orders_stores_alone() {
    let select = ["CMP W4,#1", "CSEL X6,X1,X8,EQ"];
    let init = "0:X1=x; 0:X2=y; 0:X3=1; 1:X1=x; 1:X8=x; 1:X2=y; 1:X3=1; 0:X8=x;";
    let load = test(
        init,
        &[
            &["STR W3,[X1]", "DMB ST", "STR W3,[X2]"],
            &joined(&[&["LDR W4,[X2]"], &select, &["LDR W5,[X6]"]]),
        ],
        "exists (1:X4=1 /\\ 1:X5=0)",
    );
    let store = test(
        init,
        &[
            &["LDR W4,[X1]", "DMB SY", "STR W3,[X2]"],
            &joined(&[&["LDR W4,[X2]"], &select, &["STR W3,[X6]"]]),
        ],
        "exists (0:X4=1 /\\ 1:X4=1)",
    );
    for cache in CacheType::ALL {
        assert_eq!(judge(&load, cache, RuleSet::all()).answer, Answer::Allowed);
        assert_eq!(judge(&store, cache, RuleSet::all()).answer, Answer::Forbidden);
    }
}

/// Without any single rule, some answer differs.  Litmus tests have no exceptions: see
/// `the_fix_needs_every_rule`.
#[test]
fn every_rule_is_needed() {
    let answer = |text: &str, cache, rules| {
        let judged = judge(text, cache, rules);
        (judged.answer, judged.unpredictable)
    };
    let cases = cases();
    for rule in Rule::ALL.iter().filter(|rule| **rule != Rule::ExceptionsSynchronise) {
        let without = RuleSet::all().without(*rule);
        let differs = cases.iter().any(|(_, text, _)| {
            CacheType::ALL
                .into_iter()
                .any(|cache| answer(text, cache, RuleSet::all()) != answer(text, cache, without))
        });
        assert!(differs, "nothing depends on {rule:?}");
    }
}

#[test]
fn reductions_change_no_answer() {
    for (name, text, _) in cases() {
        for cache in CacheType::ALL {
            let litmus = parse(&text);
            let full = litmus.judge_unreduced(cache, Bounds::default(), &NEVER).expect("places");
            assert_eq!(full.answer, judge(&text, cache, RuleSet::all()).answer, "{name}");
        }
    }
}

#[test]
fn a_loop_is_unknown_unless_a_witness_is_found() {
    let text = |condition| test("0:X1=x;", &[&["go: LDR W2,[X1]", "CBZ W2,go"]], condition);
    let bounds = Bounds { states: 1000 };
    let judged = parse(&text("exists 0:X2=1"))
        .judge(CacheType::Dic1Idc1, RuleSet::all(), bounds, &NEVER)
        .expect("places");
    assert!(matches!(judged.answer, Answer::Unknown(_)));
    let bounds = Bounds { states: 3 };
    let long = cases().swap_remove(0).1;
    let judged = parse(&long).judge(CacheType::Dic0Idc0, RuleSet::all(), bounds, &NEVER);
    assert_eq!(judged.expect("places").answer, Answer::Unknown(Incomplete::States));
}

#[test]
fn errors_name_their_line() {
    let one = |insn: &str| test("0:X1=x;", &[&["NOP", insn]], "exists 0:X1=1");
    for (text, words) in [
        (String::new(), "line 1: expected the header \"AArch64 NAME\""),
        ("X86 test\n{}\nP0 ;\nexists x=1".to_owned(), "line 1: expected the header"),
        ("AArch64 test\n".to_owned(), "expected { and the initial state"),
        ("AArch64 test\n{ x=0;\n".to_owned(), "line 2: expected } after"),
        ("AArch64 test\n{}\nP0 ;\nNOP ;\n".to_owned(), "expected exists, ~exists or forall"),
        ("AArch64 test\n(* no end\n{}".to_owned(), "line 2: expected the end of the comment"),
        (
            "AArch64 test\n{}\nP0 | P0.F ;\nNOP ;\nexists x=1".to_owned(),
            "line 3: expected the names",
        ),
        (one("LDXR W1,[X2]"), "line 5: the instruction \"LDXR W1,[X2]\" is not modelled"),
        (one("DMB OSH"), "line 5: the instruction \"DMB OSH\" is not modelled"),
        (one("B nowhere"), "line 5: no label nowhere"),
        (one("STR W1,[W2]"), "line 5: the instruction"),
        (
            one("a: NOP").replace("NOP ;\na:", "a: NOP ;\na:"),
            "line 5: the label a is defined twice",
        ),
        (test("0:X1=(1);", &[&["NOP"]], "exists 0:X1=1"), "line 2: the value \"(1)\""),
        (test("9:X1=1;", &[&["NOP"]], "exists 0:X1=1"), "line 2: the value"),
        (test("", &[&["NOP"]], "exists 1:X1=1"), "expected a register of one of the processes"),
        (test("", &[&["NOP"]], "exists (0:X1=1"), "line 5: expected )"),
        (test("", &[&["NOP"]], "exists 0:X1=nothing"), "line 5: the value \"nothing\""),
        (test("", &[&["NOP"]], &format!("exists {}0:X1=1", "(".repeat(99))), "at most 64 nested"),
        (test("", &[&["NOP"], &[], &[], &[], &[]], "exists 0:X1=1"), "at most 4 processes"),
    ] {
        let error = Litmus::parse(&text).expect_err(&text).to_string();
        assert!(error.contains(words), "{error:?} has {words:?}\n{text}");
    }
    let astray = test("0:X1=8;", &[&["STR W0,[X1]"]], "exists 0:X1=1");
    let judged =
        parse(&astray).judge(CacheType::Dic1Idc1, RuleSet::all(), Bounds::default(), &NEVER);
    assert_eq!(judged.expect_err("no location").line, 4);
}
