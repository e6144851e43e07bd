//! A program with static keys, which is a test of the same file, started again.
#![allow(dead_code, reason = "each file of tests uses its part")]

// Of the runtime's tests: what an emulated machine takes.
#[path = "../../../runtime-shim/tests/common/emulator.rs"]
pub(crate) mod emulator;
#[path = "../../../runtime-shim/tests/common/memory.rs"]
mod memory;
#[path = "../../../runtime-shim/tests/common/refetch.rs"]
mod refetch;
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "addresses of 64 bits")]
#[path = "../../../runtime-shim/tests/common/sites.rs"]
mod sites;

use crate::common::{Run, jlctl, run};
use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};
use refetch::refetch;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

define_static_key_false!(static LIVE_FALSE);
define_static_key_true!(static LIVE_TRUE);

/// What makes a test of this file the program that is flipped.
const ROLE: &str = "JLCTL_TEST_TARGET";
/// A variable that makes it begin and end threads all the time.
pub(crate) const SPAWNS: &str = "JLCTL_TEST_SPAWNS";

#[inline(never)]
fn sees() -> [bool; 4] {
    [
        static_branch_unlikely!(LIVE_FALSE),
        static_branch_likely!(LIVE_FALSE),
        static_branch_unlikely!(LIVE_TRUE),
        static_branch_likely!(LIVE_TRUE),
    ]
}

/// Threads that pass the sites beside the main one.
const WORKERS: usize = 7;

/// How often the main thread has asked the others what they see.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Passes the sites all the time; what it sees after it was asked goes to `answers`.
fn work(answers: &mpsc::Sender<[bool; 4]>) {
    let mut answered = 0;
    loop {
        let asked = ASKED.load(Ordering::Acquire);
        let seen = sees();
        if asked != answered && answers.send(seen).is_err() {
            return;
        }
        if asked == answered {
            // A thread in the middle of its sleep is stopped as well.
            thread::sleep(Duration::from_micros(seen.map(u64::from).iter().sum::<u64>() * 10));
        }
        answered = asked;
    }
}

/// The program: threads that pass the sites all the time, and a main thread that answers each
/// line with what all see from then on, `0` and `1` for each site, and what the keys say.
fn serve() {
    let (to, answers) = mpsc::channel();
    for _ in 0..WORKERS {
        let to = to.clone();
        thread::spawn(move || work(&to));
    }
    if env::var_os(SPAWNS).is_some() {
        thread::spawn(|| while thread::spawn(sees).join().is_ok() {});
    }
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        if line == "flip" {
            LIVE_FALSE.enable().expect("the shim flips");
        }
        refetch(&[&LIVE_FALSE, &LIVE_TRUE]);
        let seen = sees();
        ASKED.fetch_add(1, Ordering::Release);
        let stale = answers.iter().take(WORKERS).filter(|other| *other != seen).count();
        let stale = if stale == 0 { String::new() } else { format!(", {stale} stale") };
        let (off, on) = (LIVE_FALSE.is_enabled(), LIVE_TRUE.is_enabled());
        println!("{:?} {off} {on}{stale}", seen.map(u8::from));
    }
}

/// A program that is running.
pub(crate) struct Target {
    pub(crate) child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Target {
    /// A test's own program, with variables in its environment.
    pub(crate) fn with(test: &str, variables: &[(&str, &str)]) -> Self {
        let exe = env::current_exe().expect("this program");
        Self::of_program(exe.as_os_str(), test, variables)
    }

    /// As [`Target::with`], of a copy of this program.
    pub(crate) fn of_program(program: &OsStr, test: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.env_remove("JLSHIM_CONTROL").envs(variables.iter().copied());
        Self::start(&mut command, test)
    }

    /// As [`Target::with`], by a command that executes this program.
    pub(crate) fn start(command: &mut Command, test: &str) -> Self {
        let mut child = command
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut target = Self { child, to, from };
        while target.line() != "ready" {}
        target
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.from.read_line(&mut line).expect("an answer");
        assert!(read > 0, "the program has ended");
        let line = line.trim_end();
        // What the test harness says of its test stands before the first line.
        line.rsplit("... ").next().unwrap_or(line).to_owned()
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        writeln!(self.to, "{what}").expect("it listens");
        self.line()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is the program; it serves then, to its end.
pub(crate) fn is_target() -> bool {
    let is_it = env::var_os(ROLE).is_some();
    if is_it {
        serve();
    }
    is_it
}

/// `jlctl ctl` of a program.
pub(crate) fn ctl(target: &Target, args: &[&str]) -> Run {
    run(jlctl(&["ctl", &target.pid()]).args(args))
}

/// `jlctl audit` of a program.
pub(crate) fn audit(target: &Target) -> Run {
    run(&mut jlctl(&["audit", "--pid", &target.pid(), "--format", "json"]))
}

/// What a run told that had nothing to complain of.
pub(crate) fn json(run: &Run) -> Value {
    assert_eq!(run.stderr, "", "{run:?}");
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}
