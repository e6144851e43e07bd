//! The lint on its fixtures: each rule and each trap, with a sound counterpart.

use crate::invariants::lint::check;
use crate::invariants::witness::Replay;
use jlctl_a64::code::{Code, Function, Program, asm};
use jlctl_a64::lint_cases::{self, LintCase};
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::lint::{
    Config, Evidence, KernelSummary, Level, LintReport, RULES, Role, lint_in, rules_markdown,
};
use jlctl_analyzer::program::RecoveredProgram;
use proptest::prelude::*;
use std::sync::OnceLock;

fn lint(bytes: &[u8], kernel: Option<&KernelSummary>) -> (LintReport, KernelSummary) {
    let image = Image::parse(bytes).expect("an image");
    let table = JumpTable::read(&image).ok();
    lint_in(&image, table.as_ref(), &Config::default(), kernel)
}

/// Rule, level and root of each finding.
fn found(case: &LintCase) -> Vec<(String, &'static str, String)> {
    let kernel = case.kernel.as_deref().map(|kernel| lint(kernel, None));
    let own = lint(&case.bytes, kernel.as_ref().map(|(_, summary)| summary)).0;
    let all = kernel.map(|(report, _)| report.findings).unwrap_or_default();
    let all = all.into_iter().chain(own.findings);
    let mut found: Vec<_> = all
        .map(|finding| {
            let root = finding.function.unwrap_or_default();
            (finding.rule.to_owned(), finding.level.name(), root)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn each_case_has_exactly_its_findings() {
    let mut wrong = Vec::new();
    for case in lint_cases::all() {
        let mut expected: Vec<(String, &str, String)> = case
            .expected
            .iter()
            .map(|(rule, level, root)| ((*rule).to_owned(), *level, (*root).to_owned()))
            .collect();
        expected.sort();
        let found = found(&case);
        if found != expected {
            wrong.push(format!(
                "{} ({}): expected {expected:?}, found {found:?}",
                case.name, case.trap
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Each step of a witness follows the one before on the control flow.
#[test]
fn witnesses_are_paths() {
    let (mut faults, mut steps) = (Vec::new(), 0);
    for case in lint_cases::all() {
        let kernel = case.kernel.as_deref().map(|kernel| lint(kernel, None).1);
        let report = lint(&case.bytes, kernel.as_ref()).0;
        let image = Image::parse(&case.bytes).expect("an image");
        let table = JumpTable::read(&image).ok();
        let replay = Replay::new(&image, table.as_ref());
        steps += report.findings.iter().map(|finding| finding.witness.len()).sum::<usize>();
        let found = report.findings.iter().filter_map(|finding| replay.fault(finding));
        faults.extend(found.map(|fault| format!("{}: {fault}", case.name)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(steps > 100, "{steps} steps");
}

/// The function returns at two places, of which one follows a synchronisation.
#[test]
fn the_exit_of_a_witness_follows_no_synchronisation() {
    let nosync = "aarch64_insn_patch_text_nosync";
    let sync = || asm::bl("kick_all_cpus_sync");
    for is_first in [true, false] {
        let (first, second) = if is_first { (sync(), asm::nop()) } else { (asm::nop(), sync()) };
        let body = [
            asm::enter(),
            asm::bl(nosync),
            asm::cbz(asm::x(19), "other"),
            first,
            asm::leave_ret(),
            asm::label("other"),
            second,
            asm::leave_ret(),
        ];
        let primitives = [nosync, "kick_all_cpus_sync"];
        let primitives = primitives.map(|name| Function::new(name, [asm::ret()]));
        let patcher = Function::new("patcher", body).exported();
        let bytes = Program::kernel().functions(primitives).functions([patcher]).build();
        let report = lint(&bytes, None).0;
        let image = Image::parse(&bytes).expect("an image");
        let program = RecoveredProgram::recover(&image, None);
        let exit = report.findings[0].witness.last().expect("an exit");
        let calls = program.calls_of(program.function_at(exit.address).expect("a function"));
        let synced = calls.iter().map(|call| call.at).max().expect("the synchronisation");
        assert_eq!((exit.role, exit.address > synced), (Role::Exit, is_first));
    }
}

#[test]
fn fingerprints_do_not_depend_on_addresses() {
    let cases = lint_cases::all();
    let of_name = |name: &str| cases.iter().find(|case| case.name == name).expect("the case");
    let case = of_name("jl001-transform");
    let (report, _) = lint(&case.bytes, None);
    assert_eq!(report.findings.len(), 1);
    let fingerprint = &report.findings[0].fingerprint;
    assert!(fingerprint.starts_with("JL001:") && !fingerprint.contains("0x"), "{fingerprint}");
}

/// Codes ascend, and every section of a page has a text in the simplest Markdown.
#[test]
fn each_rule_has_a_page() {
    assert!(RULES.windows(2).all(|pair| pair[0].code < pair[1].code));
    assert_eq!(RULES.len(), 12);
    for rule in RULES {
        let sections = rule.sections();
        let headings = sections.map(|(heading, _)| heading);
        assert_eq!(headings[..4], ["Algorithm", "False positives", "False negatives", "History"]);
        let texts = sections.map(|(_, text)| text);
        for text in texts.into_iter().chain([rule.name, rule.summary, rule.description]) {
            assert!(!text.trim().is_empty(), "{}", rule.code);
            assert!(!text.contains("  ") && !text.contains(['*', '<', '>']), "{text}");
            assert!(text.lines().all(|line| !line.starts_with(['#', ' '])), "{text}");
            assert!(text.matches('`').count().is_multiple_of(2), "{text}");
        }
        assert!(!rule.summary.contains('\n') && rule.summary.ends_with('.'), "{}", rule.code);
        let page = rule.markdown(2);
        assert!(page.starts_with(&format!("## {}: {}\n\n", rule.code, rule.name)), "{page}");
        assert!(
            sections
                .iter()
                .all(|(heading, text)| { page.contains(&format!("\n### {heading}\n\n{text}\n")) })
        );
        assert!(rules_markdown(2).contains(&page));
    }
}

#[test]
fn other_architectures_are_refused() {
    use jlctl_synthetic::demo;
    use jlctl_synthetic::spec::Machine;
    let bytes = demo::spec().on(Machine::X86_64).build();
    let (report, _) = lint(&bytes, None);
    assert!(!report.is_applicable);
    assert!(report.coverage.caps[0].contains("x86_64"), "{:?}", report.coverage.caps);
    assert!(report.findings.iter().all(|finding| finding.level != Level::Error));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// Damage, above all in code, causes neither a panic nor an endless loop.
    #[test]
    fn damaged_programs_are_linted(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let cases = CASES.get_or_init(lint_cases::all);
        let mut bytes = which.get(cases).bytes.clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
    }

    /// Any words as the code of a function.
    #[test]
    fn random_code_is_linted(
        which in any::<prop::sample::Index>(),
        words in proptest::collection::vec(word(), 8..200),
    ) {
        let cases = CASES.get_or_init(lint_cases::all);
        let mut bytes = which.get(cases).bytes.clone();
        let Some(at) = text(&bytes) else { return Ok(()) };
        for (place, word) in bytes[at].chunks_exact_mut(4).zip(words.iter().cycle()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        check(&bytes);
    }
}

static CASES: OnceLock<Vec<LintCase>> = OnceLock::new();

/// Random words with many short branches, calls, returns and barriers.
fn word() -> impl Strategy<Value = u32> {
    let near = |opcode: u32, shift: u32| {
        (-40i32..40).prop_map(move |offset| {
            let mask = if shift == 0 { 0x03ff_ffff } else { 0x7_ffff };
            opcode | (offset.cast_unsigned() & mask) << shift
        })
    };
    prop_oneof![
        any::<u32>(),
        near(0x1400_0000, 0),
        near(0x9400_0000, 0),
        near(0x5400_0000, 5),
        near(0xb400_0000, 5),
        prop::sample::select(
            &[
                0xd65f_03c0u32,
                0xd503_3fdf,
                0xd503_3b9f,
                0xd50b_7520,
                0xd50b_7b20,
                0xd61f_0000,
                0xd63f_0000,
                0xd400_0001,
                0x9000_0000,
                0x9100_0000,
                0xd280_2368,
            ][..]
        ),
    ]
}

/// The file range of `.text`.
fn text(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let image = Image::parse(bytes).ok()?;
    let section = image.section_named(".text")?;
    let start = usize::try_from(section.offset.0).ok()?;
    Some(start..start + section.data.len())
}

/// A call graph that is one cycle through all functions, and the longest chain of calls.
#[test]
fn recursion_through_every_function_terminates() {
    let count = 3_000;
    let name = |at: usize| format!("function_{at}");
    let function = |at: usize| {
        let next = name((at + 1) % count);
        let before = name((at + count - 1) % count);
        Function::new(&name(at), [asm::enter(), asm::bl(&next), asm::bl(&before), asm::leave_ret()])
            .exported()
    };
    let patcher = Function::new(
        "patcher",
        [
            asm::enter(),
            asm::bl("aarch64_insn_patch_text_nosync"),
            asm::bl(&name(0)),
            asm::leave_ret(),
        ],
    );
    let primitive = Function::new("aarch64_insn_patch_text_nosync", [asm::ret()]);
    let entry = Function::new(
        "entry",
        [asm::enter(), asm::bl("patcher"), asm::bl(&name(7)), asm::leave_ret()],
    )
    .exported();
    let functions = (0..count).map(function);
    let program = Program::kernel().functions(functions).functions([primitive, patcher, entry]);
    let (report, _) = lint(&program.build(), None);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].affected.functions, 2);
}

/// A kernel whose functions all call each other and themselves.  `between` gives the code after each
/// call, from caller and callee.  The last function patches at its end, and the first is exported.
fn all_call_all(count: usize, between: &dyn Fn(usize, usize) -> Code) -> Vec<u8> {
    let name = |at: usize| format!("function_{at}");
    let function = |at: usize| {
        let calls = (0..count).flat_map(|to| [asm::bl(&name(to)), between(at, to)]);
        let patch = (at + 1 == count).then(|| asm::bl("aarch64_insn_patch_text_nosync"));
        let begin = [asm::enter()].into_iter().chain(calls).chain([asm::label("out")]);
        let function = Function::new(&name(at), begin.chain(patch).chain([asm::leave_ret()]));
        if at == 0 { function.exported() } else { function.local() }
    };
    let primitives = ["aarch64_insn_patch_text_nosync", "kick_all_cpus_sync"];
    let primitives = primitives.map(|name| Function::new(name, [asm::ret()]));
    Program::kernel().functions(primitives).functions((0..count).map(function)).build()
}

/// One component of the call graph with every possible edge: the work stays bounded, and a component
/// that exceeds the bound is reported and does not pass.
#[test]
fn a_call_graph_of_one_component_stays_bounded() {
    let count = 80;
    let (pending, _) = lint(&all_call_all(count, &|_, _| asm::cbz(asm::x(0), "out")), None);
    assert_eq!(pending.findings.len(), 1, "{:?}", pending.findings);
    assert_eq!(pending.findings[0].affected.functions, count);
    assert_eq!(pending.findings[0].level, Level::Error);
    assert_eq!(pending.coverage.caps, [""; 0]);
    // A synchronisation after each call: only the function that patches returns with the obligation.
    let kick = || asm::bl("kick_all_cpus_sync");
    let (fulfilled, _) = lint(&all_call_all(count, &|_, _| kick()), None);
    assert_eq!(fulfilled.findings, []);
    assert_eq!(fulfilled.coverage.caps, [""; 0]);
    // Except after calls of the next function, so that each evaluation of all functions finds one
    // more obligation.
    let slow = |from: usize, to: usize| if to == from + 1 { asm::b("out") } else { kick() };
    let (slow, _) = lint(&all_call_all(count, &slow), None);
    assert_eq!(slow.findings.len(), 1, "{:?}", slow.findings);
    assert_eq!(
        slow.findings[0].level,
        Level::Warning,
        "the verdict depends on the omitted functions"
    );
    assert_eq!(slow.findings[0].affected.functions, count);
    let first = slow.findings[0].witness.iter().find(|step| step.role == Role::Call);
    assert_eq!(first.and_then(|step| step.evidence), Some(Evidence::Unresolved));
    assert!(slow.coverage.caps[0].contains("too many steps"), "{:?}", slow.coverage.caps);
}

/// More executable mappings than the lint tracks are reported.
#[test]
fn untracked_executable_memory_is_reported() {
    let map = || [asm::load(asm::x(0), 0), asm::load(asm::w(2), 5), asm::bl("mmap")];
    let lint_of = |count: usize| {
        let maps = (0..count).flat_map(|_| map());
        let end = [asm::cbz(asm::x(0), "out"), asm::label("out"), asm::leave_ret()];
        let body = [asm::enter()].into_iter().chain(maps).chain(end);
        lint(&Program::user().functions([Function::new("maps", body).exported()]).build(), None).0
    };
    assert_eq!(lint_of(8).coverage.caps, [""; 0]);
    let report = lint_of(9);
    assert!(report.coverage.caps[0].contains("not analysed to the end"), "{report:?}");
}

/// A model can name consumers that synchronise on their own side.  A model that names a function
/// without an ISB is doubted.
#[test]
fn consumers_of_the_model_count_as_synchronising() {
    let cases = lint_cases::all();
    let case = cases.iter().find(|case| case.name == "jl001-transform").expect("the case");
    let image = Image::parse(&case.bytes).expect("an image");
    let lint_with = |name: &str| {
        let text = format!("[[function]]\nrole = \"consumer-syncs\"\nnames = [\"{name}\"]");
        let config = Config::parse(&text).expect("a configuration");
        lint_in(&image, None, &config, None).0
    };
    let report = lint_with("multi_cpu_stop_nowhere");
    assert_eq!(report.findings[0].level, Level::Error, "no function has the name");
    let report = lint_with("demo_target");
    assert_eq!(report.findings[0].level, Level::Note);
    let reason = report.findings[0].tolerated.as_deref().unwrap_or_default();
    assert!(reason.contains("demo_target"), "{reason}");
    assert_eq!(report.model_warnings.len(), 1, "demo_target executes no ISB");
}
