//! Programs with the crate static-keys: this very file, whose keys are flipped in a copy of it
//! and while it runs.  No runtime of jlctl's is asked: the crate has its own.
#![allow(unsafe_code, reason = "keys of the crate are flipped by unsafe functions")]

mod common;

use common::{Run, jlctl, run};
use serde_json::Value;
use static_keys::{define_static_key_false, define_static_key_true};
use static_keys::{static_branch_likely, static_branch_unlikely};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{env, fs};

define_static_key_false!(CRATE_OFF);
define_static_key_true!(CRATE_ON);

/// What makes a test of this file the program that is flipped.
const ROLE: &str = "JLCTL_TEST_TARGET";

#[inline(never)]
fn sees() -> [bool; 4] {
    [
        static_branch_unlikely!(CRATE_OFF),
        static_branch_likely!(CRATE_OFF),
        static_branch_unlikely!(CRATE_ON),
        static_branch_likely!(CRATE_ON),
    ]
}

/// The program: answers each line with what it sees, and what the keys say.
fn serve() {
    static_keys::global_init();
    println!("ready");
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            // SAFETY: the keys are initialised, and no other thread passes their sites.
            "enable" => unsafe { CRATE_OFF.enable() },
            // SAFETY: as above.
            "disable" => unsafe { CRATE_OFF.disable() },
            _ => {}
        }
        println!("{:?} {} {}", sees().map(u8::from), CRATE_OFF.is_enabled(), CRATE_ON.is_enabled());
    }
}

/// Whether this process is the program; it serves then, to its end.
fn is_target() -> bool {
    let is_it = env::var_os(ROLE).is_some();
    if is_it {
        serve();
    }
    is_it
}

struct Target {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Target {
    fn start(program: &Path, test: &str) -> Self {
        let mut child = Command::new(program)
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut target = Self { child, to, from };
        while !target.line().ends_with("ready") {}
        target
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.from.read_line(&mut line).expect("an answer") > 0, "the program has ended");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.to, "{what}").expect("it listens");
        self.line()
    }

    fn ctl(&self, args: &[&str]) -> Run {
        run(jlctl(&["ctl", &self.child.id().to_string()]).args(args))
    }

    fn flip(&self, action: &str, key: &str) -> Value {
        let done = self.ctl(&[action, key, "--format", "json"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    /// All sites of a key that was flipped follow it.  Of others those may not that are never
    /// executed: without optimisation the crate's macros leave a site of each kind.
    fn follows(&self, key: &str) {
        let pid = self.child.id().to_string();
        let audit = run(&mut jlctl(&["audit", "--pid", &pid, "--format", "json"]));
        assert_eq!(audit.stderr, "");
        let audit: Value = serde_json::from_str(&audit.stdout).expect("JSON");
        let stale = audit["stale"].as_array().expect("a list");
        let name = |site: &Value| site["key"].as_str().expect("a name").to_owned();
        assert!(!stale.iter().any(|site| name(site).ends_with(key)), "{audit}");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_running_program_is_flipped_from_both_sides() {
    if is_target() {
        return;
    }
    let exe = env::current_exe().expect("this program");
    let mut target = Target::start(&exe, "a_running_program_is_flipped_from_both_sides");
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    let flipped = target.flip("enable", "CRATE_OFF");
    assert_eq!((&flipped["way"], &flipped["keys"][0]["differ"]), (&"ptrace".into(), &2.into()));
    assert_eq!(target.ask("?"), "[1, 1, 1, 1] true true");
    target.follows("CRATE_OFF");
    // Its own runtime goes on from there.
    assert_eq!(target.ask("disable"), "[0, 0, 1, 1] false true");
    target.follows("CRATE_OFF");
    assert_eq!(target.ask("enable"), "[1, 1, 1, 1] true true");
    target.flip("disable", "CRATE_OFF");
    target.flip("disable", "CRATE_ON");
    assert_eq!(target.ask("?"), "[0, 0, 0, 0] false false");
    target.follows("CRATE_ON");
}

#[test]
fn keys_are_flipped_in_the_file() {
    if is_target() {
        return;
    }
    let exe = env::current_exe().expect("this program");
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (exe, plan, copy) = (exe.to_str().expect("UTF-8"), path("plan"), path("copy"));
    let planned = |wish: &str, key: &str| {
        run(&mut jlctl(&["plan", exe, wish, key, "--no-source", "-o", &plan]))
    };
    let made = planned("--disable", "CRATE_ON");
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    let checked = run(&mut jlctl(&["plan", "--check", &plan, exe]));
    assert_eq!(checked.code, 0, "{checked:?}");
    let applied = run(&mut jlctl(&["apply", &plan, exe, "-o", &copy]));
    assert_eq!(applied.code, 0, "{applied:?}");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut target = Target::start(Path::new(&copy), "keys_are_flipped_in_the_file");
    assert_eq!(target.ask("?"), "[0, 0, 0, 0] false false");
    assert_eq!(target.ask("enable"), "[1, 1, 0, 0] true false");
    target.follows("CRATE_OFF");
    // A key whose bytes are not in the file can only be flipped while the program runs.
    assert_eq!(planned("--enable", "CRATE_OFF").code, 0);
    let refused = run(&mut jlctl(&["apply", &plan, exe, "-o", &copy]));
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("found .bss"), "{}", refused.stderr);
}
