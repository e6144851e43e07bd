//! The guest reports programs that fail, crash, hang or cannot be started.
//!
//! The programs are tests of `testdata/vm/guest/tests/outcomes.rs`.

use crate::guest::Guest;
use jlctl_vm::libtest::{self, Report, Verdict};
use jlctl_vm::{self as vm, Ending, Program, Run, Suite, VmError};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;
use std::time::Duration;

const OUTCOMES: Suite = Suite::new("jlctl-guest", &["--test", "outcomes"]);

/// Limit of the program that hangs.
const SHORT: Duration = Duration::from_secs(2);

/// The number of SIGILL (`signal(7)`).
const SIGILL: i32 = 4;

/// The check of a program's result.
type Check = fn(&Run, &Ending);

/// A planned trial: its name, the index of the program, the check.
pub(crate) type Expected = (&'static str, usize, Check);

/// Adds the programs to the guest.
pub(crate) fn add(guest: &mut Guest) -> Result<Vec<Expected>, VmError> {
    let mut expected = Vec::new();
    let mut add = |name, program, check| expected.push((name, guest.add(program), check));
    for program in vm::tests(&OUTCOMES)?.tests {
        let running = |tests: &[&str]| {
            Program::new(&program.path)
                .arguments(["--test-threads=1", "--show-output", "--exact"])
                .arguments(tests.iter().copied())
        };
        let mut failing = running(&["a_passes", "b_fails", "c_is_ignored", "f_panics"]);
        failing.environment.push(("GREETING".to_owned(), "well done".to_owned()));
        add("a_failing_test_is_reported", failing, failing_test as Check);
        let dying = running(&["a_passes", "d_dies", "f_panics"]);
        add("a_program_that_dies_is_reported", dying, dying_program);
        let hanging = running(&["a_passes", "e_hangs", "f_panics"]).limit(SHORT);
        add("a_program_that_hangs_is_reported", hanging, hanging_program);
        let leaving = running(&["g_leaves_a_process_behind"]);
        add("a_process_left_behind_is_ended", leaving, process_left_behind);
    }
    // A file of the host that is not a program.
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    add("a_file_that_is_not_a_program_is_reported", Program::new(text), no_program);
    Ok(expected)
}

/// The trials of what [`add`] returned.
pub(crate) fn trials(guest: &Arc<Guest>, expected: Vec<Expected>) -> Vec<Trial> {
    let trial = |(name, program, check): Expected| {
        let guest = Arc::clone(guest);
        Trial::test(format!("outcomes::{name}"), move || {
            let (run, ending) = guest.run(program)?;
            check(run, ending);
            Ok::<(), Failed>(())
        })
    };
    expected.into_iter().map(trial).collect()
}

fn report(run: &Run) -> Report {
    libtest::parse(&String::from_utf8_lossy(&run.stdout))
}

fn verdicts(report: &Report) -> Vec<(&str, Verdict)> {
    report.results.iter().map(|result| (result.name.as_str(), result.verdict)).collect()
}

fn failing_test(run: &Run, ending: &Ending) {
    assert_eq!(*ending, Ending::Exit(101), "{run:?}");
    let report = report(run);
    let expected = [
        ("a_passes", Verdict::Passed),
        ("b_fails", Verdict::Failed),
        ("c_is_ignored", Verdict::Ignored),
        ("f_panics", Verdict::Passed),
    ];
    assert_eq!(verdicts(&report), expected);
    assert!(report.is_complete);
    let output = |name| report.of(name).map_or("", |result| result.output.trim_end());
    let environment = "GREETING=well done\nHOME=/tmp\nPATH=/programs\nTMPDIR=/tmp";
    assert_eq!(output("a_passes"), environment);
    let failure = output("b_fails");
    assert!(failure.starts_with("printed by b_fails\n"), "{failure}");
    assert!(failure.contains("wrong on purpose"), "{failure}");
}

fn dying_program(run: &Run, ending: &Ending) {
    assert_eq!(*ending, Ending::Signal(SIGILL), "{run:?}");
    let report = report(run);
    let expected = [("a_passes", Verdict::Passed), ("d_dies", Verdict::Unfinished)];
    assert_eq!(verdicts(&report), expected);
    assert!(!report.is_complete);
    assert_eq!(run.stderr, b"written before d_dies\n");
}

fn hanging_program(run: &Run, ending: &Ending) {
    assert_eq!(*ending, Ending::TimedOut, "{run:?}");
    let expected = [("a_passes", Verdict::Passed), ("e_hangs", Verdict::Unfinished)];
    assert_eq!(verdicts(&report(run)), expected);
    assert!(run.duration >= SHORT && run.duration < 10 * SHORT, "{:?}", run.duration);
}

fn process_left_behind(run: &Run, ending: &Ending) {
    assert_eq!(*ending, Ending::Exit(0), "{run:?}");
    assert!(verdicts(&report(run)).contains(&("g_leaves_a_process_behind", Verdict::Passed)));
    assert!(run.duration < Duration::from_secs(30), "{:?}", run.duration);
}

fn no_program(run: &Run, ending: &Ending) {
    let Ending::NotStarted(why) = ending else { panic!("{ending:?}: {run:?}") };
    assert!(why.contains("Exec format error"), "{why}");
    assert!(run.started && run.stdout.is_empty() && run.stderr.is_empty());
}
