//! The findings that fail a run: those that the configuration does not suppress and, of two builds,
//! those that only one has.

use super::records::{Compared, FindingRecord, Suppressed, SuppressionRecord};
use jlctl_analyzer::debug_info::matches_symbol;
use jlctl_analyzer::lint::Suppression;
use jlctl_analyzer::pattern::Pattern;
use std::collections::HashMap;

/// Marks the findings that `suppressions` match, and returns the suppressions that match no
/// finding.
pub(crate) fn suppress<'a>(
    findings: &mut [FindingRecord],
    suppressions: impl IntoIterator<Item = &'a Suppression>,
) -> Vec<SuppressionRecord> {
    let mut unused = Vec::new();
    for suppression in suppressions {
        let mut is_used = false;
        for finding in findings.iter_mut().filter(|finding| fits(suppression, finding)) {
            is_used = true;
            if finding.suppressed != Some(Suppressed::Config) {
                finding.suppressed = Some(Suppressed::Config);
                finding.reason = Some(suppression.reason.clone());
            }
        }
        if !is_used {
            let Suppression { rule, text, reason, .. } = suppression;
            let (rule, text, reason) = (rule.clone(), text.clone(), reason.clone());
            unused.push(SuppressionRecord { rule, text, reason });
        }
    }
    unused
}

fn fits(suppression: &Suppression, finding: &FindingRecord) -> bool {
    let fits_function = |pattern: &Pattern| {
        finding.function.as_deref().is_some_and(|symbol| matches_symbol(pattern, symbol))
    };
    let fits_file = |pattern: &Pattern| {
        let name = finding.file.rsplit('/').next().unwrap_or(&finding.file);
        pattern.matches(&finding.file) || pattern.matches(name)
    };
    suppression.rule.as_deref().is_none_or(|rule| rule == finding.rule)
        && suppression.function.as_ref().is_none_or(fits_function)
        && suppression.file.as_ref().is_none_or(fits_file)
}

/// Marks the findings of a build that another build has too, one for one by their fingerprints, and
/// returns those that only the other build has.
pub(crate) fn compare(
    findings: &mut [FindingRecord],
    other: Vec<FindingRecord>,
) -> Vec<FindingRecord> {
    let mut open: HashMap<String, usize> = HashMap::new();
    for finding in &other {
        *open.entry(finding.fingerprint.clone()).or_default() += 1;
    }
    for finding in findings {
        let left = open.get_mut(&finding.fingerprint).filter(|left| **left > 0);
        finding.against = Some(if left.is_some() { Compared::Both } else { Compared::Lost });
        if let Some(left) = left {
            *left -= 1;
        }
    }
    let mut gained = Vec::new();
    for mut finding in other.into_iter().rev() {
        if let Some(left) = open.get_mut(&finding.fingerprint).filter(|left| **left > 0) {
            *left -= 1;
            finding.against = Some(Compared::Gained);
            gained.push(finding);
        }
    }
    gained.reverse();
    gained
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::samples::finding;
    use jlctl_analyzer::lint::Level;

    fn suppression(rule: Option<&str>, function: Option<&str>, file: Option<&str>) -> Suppression {
        let pattern = |text| Pattern::parse(text).unwrap();
        Suppression {
            rule: rule.map(str::to_owned),
            function: function.map(pattern),
            file: file.map(pattern),
            reason: "a reason".to_owned(),
            text: "as written".to_owned(),
        }
    }

    #[test]
    fn suppressions_fit_by_rule_function_and_file() {
        for (suppression, expected) in [
            (suppression(None, None, None), [true, true]),
            (suppression(Some("JL001"), Some("f*"), None), [true, false]),
            (suppression(Some("JL002"), None, None), [false, false]),
            (suppression(None, None, Some("*.ko")), [false, true]),
            (suppression(None, None, Some("/^lib\\//")), [false, true]),
            (suppression(None, Some("g"), Some("vmlinux")), [false, false]),
        ] {
            let mut findings = [finding("vmlinux", "f1"), finding("lib/a.ko", "g")];
            let unused = suppress(&mut findings, [&suppression]);
            let found = findings.each_ref().map(|finding| finding.suppressed.is_some());
            assert_eq!(found, expected);
            assert_eq!(unused.is_empty(), expected.contains(&true));
            assert!(
                findings.iter().all(|found| found.reason.is_some() == found.suppressed.is_some())
            );
        }
    }

    #[test]
    fn findings_without_a_function_are_suppressed_by_rule_alone() {
        let mut findings = [finding("a", "f")];
        findings[0].function = None;
        assert_eq!(suppress(&mut findings, [&suppression(None, Some("*"), None)]).len(), 1);
        assert_eq!(suppress(&mut findings, [&suppression(Some("JL001"), None, None)]).len(), 0);
        assert!(!findings[0].fails(Level::Note));
    }

    #[test]
    fn builds_are_compared_one_finding_for_one() {
        let mut findings = [finding("a", "f"), finding("a", "f"), finding("a", "g")];
        let gained = compare(&mut findings, vec![finding("b", "f"), finding("b", "h")]);
        let compared = findings.each_ref().map(|finding| finding.against);
        assert_eq!(compared, [Some(Compared::Both), Some(Compared::Lost), Some(Compared::Lost)]);
        assert_eq!(gained.len(), 1);
        assert_eq!(gained[0].function.as_deref(), Some("h"));
        let fails = findings.each_ref().map(|finding| finding.fails(Level::Error));
        assert_eq!(fails, [false, true, true]);
    }
}
