//! The lint on programs made for it: each trap and each rule, with a sound twin.

use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::lint::{Config, KernelSummary, Level, LintReport, RULES, lint_in};
use jlctl_testdata::lint_cases::{self, LintCase};

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

/// Rules are documented, by ascending codes, and none has nothing to say.
#[test]
fn rules_have_pages() {
    assert!(RULES.windows(2).all(|pair| pair[0].code < pair[1].code));
    assert_eq!(RULES.len(), 11);
    for rule in RULES {
        let texts = [
            rule.title,
            rule.finds,
            rule.how,
            rule.false_positives,
            rule.false_negatives,
            rule.history,
            rule.fix,
        ];
        assert!(texts.iter().all(|text| !text.is_empty()), "{}", rule.code);
        assert!(texts.iter().all(|text| !text.contains("  ")), "{}", rule.code);
    }
}

#[test]
fn other_architectures_are_said_not_to_be_read() {
    use jlctl_testdata::demo;
    use jlctl_testdata::spec::Machine;
    let bytes = demo::spec().on(Machine::X86_64).build();
    let (report, _) = lint(&bytes, None);
    assert!(!report.is_applicable);
    assert!(report.coverage.caps[0].contains("x86_64"), "{:?}", report.coverage.caps);
    assert!(report.findings.iter().all(|finding| finding.level != Level::Error));
}
