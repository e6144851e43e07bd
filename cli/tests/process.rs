//! A running program that answers each line of its standard input with a line.

use crate::command::{Run, jlctl, run, spawn, utf8};
use crate::directory::Directory;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running program, which is killed in the end.
pub(crate) struct Process {
    pub(crate) child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, to, from }
    }

    /// Starts a program of `live/programs`, and waits until its threads run.
    pub(crate) fn start_ready(command: &mut Command) -> Self {
        let mut process = Self::start(command);
        assert_eq!(process.line(), "ready");
        process
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.from.read_line(&mut line).expect("the pipe is readable");
        assert!(read > 0, "the program has ended");
        line.trim_end().to_owned()
    }

    /// The program's answer to `question`.
    pub(crate) fn ask(&mut self, question: &str) -> String {
        let to = self.to.as_mut().expect("its input is open");
        writeln!(to, "{question}").expect("the program reads");
        self.line()
    }

    /// Closes the program's input, after which it must succeed.
    pub(crate) fn finish(mut self) {
        drop(self.to.take());
        assert!(self.child.wait().expect("a child").success());
    }

    /// `jlctl ctl` of the process.
    pub(crate) fn ctl(&self, args: &[&str]) -> Run {
        run(jlctl(&["ctl", &self.pid()]).args(args))
    }

    /// `jlctl apply --pid` of a plan.
    pub(crate) fn apply(&self, plan: &str, args: &[&str]) -> Run {
        run(jlctl(&["apply", plan, "--pid", &self.pid(), "--format", "json"]).args(args))
    }

    /// `jlctl audit` of the process.
    pub(crate) fn audit(&self) -> Run {
        run(&mut jlctl(&["audit", "--pid", &self.pid(), "--format", "json"]))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of `live/programs`, which cargo builds as an example of this package.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_jlctl")).with_file_name("examples").join(name);
    assert!(path.exists(), "no {}: `cargo test --package jlctl` builds it", path.display());
    path
}

/// The program with keys of jlctl's runtime.
pub(crate) fn shim_keys() -> Command {
    let mut command = Command::new(program("shim_keys"));
    command.env_remove("JLSHIM_CONTROL");
    command
}

/// The answer of the program with keys of jlctl's runtime while its keys have their initial state.
pub(crate) const OFF: &str = "[0, 0, 1, 1] false true";
/// The answer of the same program while LIVE_FALSE is on as well.
pub(crate) const ON: &str = "[1, 1, 1, 1] true true";

/// The number of rounds of a long test: `natively`, or `emulated` in an emulated machine, where
/// a round takes a thousand times as long.
pub(crate) fn rounds(natively: usize, emulated: usize) -> usize {
    let is_emulated = std::env::var_os("JLSHIM_TEST_EMULATED_MACHINE").is_some();
    if is_emulated { emulated } else { natively }
}

/// Writes a plan that flips the keys of `program` into `directory`, and returns its path.
pub(crate) fn plan_flips(program: &Path, directory: &Directory) -> String {
    let plan = directory.path("plan.json");
    let plan = utf8(&plan);
    let args = ["plan", utf8(program), "--flip", "/LIVE_/", "--no-source", "-o", plan];
    run(&mut jlctl(&args)).ok();
    plan.to_owned()
}
