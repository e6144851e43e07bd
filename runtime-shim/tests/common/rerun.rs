//! This program once more, as another process from its start: constructors, environment and
//! limits are those of the new one.

use super::emulator::emulator;
use std::env;
use std::process::{Command, Output};

const ROLE: &str = "JLSHIM_TEST_ROLE";
/// A process of these tests that takes longer hangs.
const PATIENCE_SECONDS: u32 = 300;

/// What this process is to do, where a test has started it.  It ends by SIGALRM where it
/// takes too long.
pub(crate) fn role() -> Option<String> {
    let role = env::var(ROLE).ok()?;
    // SAFETY: no pointers; the default action ends the process.
    unsafe { libc::alarm(PATIENCE_SECONDS) };
    Some(role)
}

/// A command that runs the test `test` of this program alone, with `role`.
pub(crate) fn rerun(test: &str, role: &str) -> Command {
    rerun_under(&[], test, role)
}

const ALONE: &str = "JLSHIM_TEST_ALONE";

/// A command that runs the test `test` from its start, without others in its process.
pub(crate) fn alone(test: &str) -> Command {
    let mut command = rerun(test, "");
    command.env_remove(ROLE).env(ALONE, "1");
    command
}

/// Whether this is such a process.
pub(crate) fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}

/// [`rerun`] under another program, given by its name and arguments.
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

/// Runs `command` to its end.
///
/// # Panics
/// Where it does not end well.
pub(crate) fn must_run(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("test result: ok. 1 passed"), "the test has another name: {said}");
    output
}
