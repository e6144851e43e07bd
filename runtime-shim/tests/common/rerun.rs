//! Runs this program again, as another process with constructors, environment and limits of
//! its own.

use super::emulator::emulator;
use std::env;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// The path by which the test runner knows the test whose function contains this macro:
/// `MODULE::FUNCTION`.
macro_rules! test_path {
    () => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        let path = path.strip_suffix("::here").expect("a function in the test's function");
        let path = path.split("::{{closure}}").next().expect("a path");
        path.split_once("::").expect("a module of this crate").1
    }};
}
pub(crate) use test_path;

const ROLE: &str = "JLSHIM_TEST_ROLE";
/// A process of these tests that takes longer than this hangs.
const PATIENCE_SECONDS: u32 = 300;

/// The role of this process, if a test has started it.  SIGALRM ends a process with a role
/// that takes too long.
pub(crate) fn role() -> Option<String> {
    let role = env::var(ROLE).ok()?;
    // SAFETY: no pointers; the default action ends the process.
    unsafe { libc::alarm(PATIENCE_SECONDS) };
    Some(role)
}

/// A command that runs the test `test` of this program, and no other test, with `role`.
pub(crate) fn rerun(test: &str, role: &str) -> Command {
    rerun_under(&[], test, role)
}

/// Set in a process that runs one test.
const ALONE: &str = "JLSHIM_TEST_ALONE";

/// Whether no other test runs in this process.
fn is_alone() -> bool {
    // nextest has a process for each test.
    let by_nextest =
        env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    by_nextest || env::var_os(ALONE).is_some()
}

/// Runs `body`, which is the body of the test `test`, in a process in which no other test runs:
/// in this one if it is such a process, else in a new one.  One such body runs at a time, so
/// that it has the machine's CPUs.
///
/// # Panics
/// If `body` panics.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if is_alone() {
        return body();
    }
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let output = must_run(rerun(test, "").env_remove(ROLE).env(ALONE, "1"));
    // Without what the test runner of the other process prints around it.
    let printed = String::from_utf8_lossy(&output.stdout);
    let printed = printed.split_once(" ... ").map_or("", |(_, rest)| rest);
    print!("{}", printed.rsplit_once("ok\n\ntest result").map_or(printed, |(body, _)| body));
}

/// [`rerun`] under the program `tool`, given by its name and arguments.
pub(crate) fn rerun_under(tool: &[&str], test: &str, role: &str) -> Command {
    let mut words: Vec<_> = tool.iter().map(Into::into).collect();
    if let Some(emulator) = emulator() {
        words.push(emulator.program.into_os_string());
        words.extend(emulator.options);
    }
    words.push(env::current_exe().expect("/proc is mounted").into_os_string());
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().expect("the program itself"));
    command.args(words).args([test, "--exact", "--nocapture", "--test-threads=1"]);
    for name in
        ["REPORT", "NO_MEMBARRIER", "BEST_EFFORT", "PROC_MEM", "ENABLE", "DISABLE", "CONTROL"]
    {
        command.env_remove(format!("JLSHIM_{name}"));
    }
    command.env(ROLE, role);
    command
}

/// Runs `command`, made by [`rerun`], to its end.
///
/// # Panics
/// If the process fails, or runs no test.
pub(crate) fn must_run(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("test result: ok. 1 passed"), "no test has this name: {said}");
    output
}
