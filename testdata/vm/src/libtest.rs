//! The output of Rust test programs in the format `pretty`.

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was ignored.
    Ignored,
    /// It started, and its program ended before it.
    Unfinished,
}

/// A test that ran or was ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// Its path in its program.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Its output; for tests that passed, only with `--show-output`.
    pub output: String,
}

/// The report of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Its tests, in the order in which they ran.
    pub results: Vec<TestResult>,
    /// Whether the report has a summary with the same number of tests.
    pub is_complete: bool,
}

impl Report {
    /// The result of a test.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&TestResult> {
        self.results.iter().find(|result| result.name == name)
    }
}

/// Reads the output of a program that ran its tests one after another (`--test-threads=1`), so
/// that the last test is the one that ended the program.
#[must_use]
pub fn parse(stdout: &str) -> Report {
    let mut reader = Reader::default();
    for line in stdout.lines() {
        reader.line(line);
    }
    reader.report
}

#[derive(Default)]
struct Reader {
    report: Report,
    /// Whether all tests have run, and their outputs follow.
    in_outputs: bool,
    /// The test whose output follows.
    output_of: Option<usize>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if let Some(open) = self.unfinished() {
            // A test may write past the harness; its verdict is then at the end of a later
            // line.
            open.verdict = verdict(line).unwrap_or(Verdict::Unfinished);
        } else if matches!(line, "failures:" | "successes:") {
            self.in_outputs = true;
            self.output_of = None;
        } else if let Some(test) = self.output_heading(line) {
            self.output_of = Some(test);
        } else if let Some(test) = self.output_of.and_then(|at| self.report.results.get_mut(at)) {
            test.output.push_str(line);
            test.output.push('\n');
        } else if let Some(counts) = summary(line) {
            self.report.is_complete = counts == self.counts();
        } else if let Some(result) = heading(line) {
            self.report.results.push(result);
        }
    }

    fn unfinished(&mut self) -> Option<&mut TestResult> {
        self.report.results.last_mut().filter(|last| last.verdict == Verdict::Unfinished)
    }

    /// The test of a line `---- NAME stdout ----`.
    fn output_heading(&self, line: &str) -> Option<usize> {
        let name = line.strip_prefix("---- ")?.strip_suffix(" stdout ----")?;
        let position = self.report.results.iter().position(|result| result.name == name);
        position.filter(|_| self.in_outputs)
    }

    /// How many passed, failed and were ignored.
    fn counts(&self) -> [usize; 3] {
        [Verdict::Passed, Verdict::Failed, Verdict::Ignored].map(|verdict| {
            self.report.results.iter().filter(|result| result.verdict == verdict).count()
        })
    }
}

/// The test of a line `test NAME ... VERDICT`, whose verdict may be missing.
fn heading(line: &str) -> Option<TestResult> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name).to_owned();
    let verdict = verdict(rest).unwrap_or(Verdict::Unfinished);
    Some(TestResult { name, verdict, output: String::new() })
}

/// The verdict that a line ends with.
fn verdict(line: &str) -> Option<Verdict> {
    if line == "ignored" || line.starts_with("ignored, ") {
        Some(Verdict::Ignored)
    } else if line.ends_with("ok") {
        Some(Verdict::Passed)
    } else if line.ends_with("FAILED") {
        Some(Verdict::Failed)
    } else {
        None
    }
}

/// How many tests passed, failed and were ignored, from the line of the summary.
fn summary(line: &str) -> Option<[usize; 3]> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    let mut count = |what: &str| counts.next()?.strip_suffix(what)?.trim_end().parse().ok();
    Some([count("passed")?, count("failed")?, count("ignored")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(report: &Report) -> Vec<(&str, Verdict)> {
        report.results.iter().map(|result| (result.name.as_str(), result.verdict)).collect()
    }

    /// The output of Rust 1.95 with `--show-output`.
    const COMPLETE: &str = "
running 4 tests
test a::passes ... ok
test b_fails ... FAILED
test c_is_ignored ... ignored, left out
test f_panics - should panic ... ok

successes:

---- a::passes stdout ----
test x ... ok
test result: none


successes:
    a::passes
    f_panics

failures:

---- b_fails stdout ----
printed

thread 'b_fails' (7) panicked at tests/x.rs:1:1:
wrong


failures:
    b_fails

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.06s

";

    #[test]
    fn the_report_of_a_complete_program_is_read() {
        let report = parse(COMPLETE);
        let expected = [
            ("a::passes", Verdict::Passed),
            ("b_fails", Verdict::Failed),
            ("c_is_ignored", Verdict::Ignored),
            ("f_panics", Verdict::Passed),
        ];
        assert_eq!(verdicts(&report), expected);
        assert!(report.is_complete);
        let output = |name| report.of(name).map(|result| result.output.trim_end());
        assert_eq!(output("a::passes"), Some("test x ... ok\ntest result: none"));
        let failed = "printed\n\nthread 'b_fails' (7) panicked at tests/x.rs:1:1:\nwrong";
        assert_eq!(output("b_fails"), Some(failed));
        assert_eq!((output("f_panics"), output("d")), (Some(""), None));
    }

    #[test]
    fn the_test_that_ended_the_program_is_unfinished() {
        for end in ["", "some last words\n", "\n"] {
            let report = parse(&format!("\nrunning 3 tests\ntest a ... ok\ntest d ... {end}"));
            let expected = [("a", Verdict::Passed), ("d", Verdict::Unfinished)];
            assert_eq!(verdicts(&report), expected);
            assert!(!report.is_complete);
        }
    }

    #[test]
    fn output_past_the_harness_does_not_hide_verdicts() {
        let report = parse(
            "test a ... a line\ntest a has been running for over 60 seconds\nok\n\
            test b ... no line endFAILED\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 m",
        );
        assert_eq!(verdicts(&report), [("a", Verdict::Passed), ("b", Verdict::Failed)]);
        assert!(report.is_complete);
    }

    #[test]
    fn a_summary_of_other_tests_is_incomplete() {
        for summary in ["2 passed; 0 failed; 0 ignored;", "1 passed; 0 failed; 1 ignored;", "x"] {
            let report =
                parse(&format!("test a ... ok\n\ntest result: ok. {summary} 0 measured\n"));
            assert!(!report.is_complete, "{summary}");
        }
    }
}
