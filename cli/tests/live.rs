//! `jlctl ctl`, `jlctl audit` and `jlctl apply --pid`, on programs of this very file: each test
//! starts itself again as a program with static keys, and flips them from outside.
//!
//! Natively where the shim runs on this machine; an emulator's process is not its guest's.
#![allow(unsafe_code, reason = "sites")]

mod common;

use common::{Run, jlctl, root, run};
use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};
use serde_json::Value;
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
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        if line == "flip" {
            LIVE_FALSE.enable().expect("the shim flips");
        }
        let seen = sees();
        ASKED.fetch_add(1, Ordering::Release);
        let stale = answers.iter().take(WORKERS).filter(|other| *other != seen).count();
        let stale = if stale == 0 { String::new() } else { format!(", {stale} stale") };
        let (off, on) = (LIVE_FALSE.is_enabled(), LIVE_TRUE.is_enabled());
        println!("{:?} {off} {on}{stale}", seen.map(u8::from));
    }
}

/// A program that is running.
struct Target {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Target {
    fn start(test: &str) -> Self {
        let exe = env::current_exe().expect("this program");
        let mut child = Command::new(exe)
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

    fn pid(&self) -> String {
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

    fn ask(&mut self, what: &str) -> String {
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
fn is_target() -> bool {
    let is_it = env::var_os(ROLE).is_some();
    if is_it {
        serve();
    }
    is_it
}

fn ctl(target: &Target, args: &[&str]) -> Run {
    run(jlctl(&["ctl", &target.pid()]).args(args))
}

fn json(run: &Run) -> Value {
    assert_eq!(run.stderr, "", "{run:?}");
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}

fn audit(target: &Target) -> Run {
    run(&mut jlctl(&["audit", "--pid", &target.pid(), "--format", "json"]))
}

/// The pattern of a key's name, whatever stands around it.
fn pattern(name: &str) -> String {
    format!("/{name}/")
}

#[test]
fn keys_are_listed_and_flipped_by_name() {
    if is_target() {
        return;
    }
    let mut target = Target::start("keys_are_listed_and_flipped_by_name");
    let (off, on) = (pattern("LIVE_FALSE"), pattern("LIVE_TRUE"));
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    let listed = json(&ctl(&target, &["list", "--format", "json"]));
    assert_eq!(
        (listed["schema"].as_str(), listed["keys"].as_array().map(Vec::len)),
        (Some("jlctl.ctl/1"), Some(2))
    );
    let flipped = json(&ctl(&target, &["enable", &off, "--format", "json"]));
    assert_eq!(flipped["synchronised_by"], "ptrace-stop");
    assert_eq!(flipped["threads"], 9, "the harness has one of its own: {flipped}");
    assert!(flipped["pause_ns"].as_u64().is_some_and(|pause| pause > 0));
    let key = &flipped["keys"][0];
    assert_eq!(
        (&key["old_enabled"], &key["enabled"], &key["differ"]),
        (&0.into(), &1.into(), &2.into())
    );
    assert_eq!(target.ask("?"), "[1, 1, 1, 1] true true");
    let again = json(&ctl(&target, &["enable", &off, "--format", "json"]));
    assert_eq!((&again["synchronised_by"], &again["threads"]), (&Value::Null, &Value::Null));
    let text = ctl(&target, &["disable", &on]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert!(text.stdout.contains("on → off, 2 sites patched"), "{}", text.stdout);
    assert!(text.stdout.contains("by stopping 9 threads"), "{}", text.stdout);
    assert_eq!(target.ask("?"), "[1, 1, 0, 0] true false");
    let list = ctl(&target, &["list", &off]);
    assert!(list.stdout.starts_with("on ") && list.stdout.contains("(2 sites)"), "{}", list.stdout);
    assert_eq!(audit(&target).code, 0);
}

#[test]
fn the_program_flips_what_was_flipped_from_outside() {
    if is_target() {
        return;
    }
    let mut target = Target::start("the_program_flips_what_was_flipped_from_outside");
    let off = pattern("LIVE_FALSE");
    assert_eq!(target.ask("flip"), "[1, 1, 1, 1] true true");
    assert_eq!(ctl(&target, &["disable", &off]).code, 0);
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    assert_eq!(target.ask("flip"), "[1, 1, 1, 1] true true");
    assert_eq!(audit(&target).code, 0);
}

#[test]
fn a_site_that_does_not_follow_its_key_is_found_and_mended() {
    if is_target() {
        return;
    }
    let mut target = Target::start("a_site_that_does_not_follow_its_key_is_found_and_mended");
    let off = pattern("LIVE_FALSE");
    let listed = json(&ctl(&target, &["list", &off, "--format", "json"]));
    let address = listed["keys"][0]["address"].as_str().expect("an address");
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("a number");
    // The word alone says that the key is on.
    let memory = std::fs::File::options().write(true).open(format!("/proc/{}/mem", target.pid()));
    std::os::unix::fs::FileExt::write_all_at(&memory.expect("it opens"), &[1], address)
        .expect("it can be written");
    let found = audit(&target);
    assert_eq!(found.code, 1, "{found:?}");
    let stale = json(&found);
    assert_eq!(stale["stale"].as_array().map(Vec::len), Some(2), "{stale}");
    let mut expected: Vec<_> =
        [0, 1].map(|at| stale["stale"][at]["expected"].as_str().map(str::to_owned)).to_vec();
    expected.sort();
    assert_eq!(expected, [Some("jmp".to_owned()), Some("nop".to_owned())]);
    assert!(stale["stale"][0]["function"].as_str().is_some_and(|name| name.contains("sees")));
    assert_eq!(ctl(&target, &["enable", &off]).code, 0);
    assert_eq!(audit(&target).code, 0);
    assert_eq!(target.ask("?"), "[1, 1, 1, 1] true true");
}

#[test]
fn a_plan_is_applied_and_taken_back() {
    if is_target() {
        return;
    }
    let mut target = Target::start("a_plan_is_applied_and_taken_back");
    let exe = env::current_exe().expect("this program");
    let exe = exe.to_str().expect("UTF-8");
    let directory = tempfile::tempdir().expect("a directory");
    let plan = directory.path().join("plan.json");
    let plan = plan.to_str().expect("UTF-8");
    let made = run(&mut jlctl(&["plan", exe, "--flip", "/LIVE_/", "--no-source", "-o", plan]));
    assert_eq!(made.code, 0, "{made:?}");
    let apply = |args: &[&str]| {
        run(jlctl(&["apply", plan, "--pid", &target.pid(), "--format", "json"]).args(args))
    };
    let applied = json(&apply(&[]));
    let process = &applied["process"];
    assert_eq!((&process["sites"], &process["key_words"]), (&4.into(), &2.into()), "{applied}");
    assert_eq!(process["synchronised_by"], "ptrace-stop");
    let twice = apply(&[]);
    assert_eq!(twice.code, 4, "{twice:?}");
    assert!(twice.stderr.contains("nothing was written"), "{}", twice.stderr);
    let reversed = |target: &mut Target| target.ask("?");
    assert_eq!(reversed(&mut target), "[1, 1, 0, 0] true false");
    let back = run(&mut jlctl(&["apply", plan, "--pid", &target.pid(), "--reverse"]));
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(target.ask("?"), "[0, 0, 1, 1] false true");
    assert_eq!(audit(&target).code, 0);
}

#[test]
fn what_cannot_be_flipped_is_refused() {
    if is_target() {
        return;
    }
    let target = Target::start("what_cannot_be_flipped_is_refused");
    let gone = run(&mut jlctl(&["ctl", "4194304", "list"]));
    assert_eq!((gone.code, gone.stdout.as_str()), (3, ""), "{gone:?}");
    assert!(gone.stderr.contains("there is none"), "{}", gone.stderr);
    let unknown = ctl(&target, &["enable", "no_such_key"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    // A program without a table.
    let mut sleep = Command::new("sleep").arg("60").spawn().expect("sleep starts");
    let without = run(&mut jlctl(&["ctl", &sleep.id().to_string(), "list"]));
    sleep.kill().expect("it runs");
    sleep.wait().expect("it ends");
    assert_eq!(without.code, 4, "{without:?}");
    assert!(without.stderr.contains("has a jump table"), "{}", without.stderr);
    // Another build than what runs.
    let demo = root().join("testdata/images/vmlinux-demo");
    let other = ctl(&target, &["list", "--image", demo.to_str().expect("UTF-8")]);
    assert_eq!(other.code, 4, "{other:?}");
    let usage = run(&mut jlctl(&["ctl", "-1", "list"]));
    assert_eq!(usage.code, 2, "{usage:?}");
}

#[test]
fn a_process_that_is_traced_is_left_alone() {
    if is_target() {
        return;
    }
    let target = Target::start("a_process_that_is_traced_is_left_alone");
    let pid = target.pid();
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-p", &pid])
        .spawn()
        .expect("this test needs strace");
    let status = format!("/proc/{pid}/status");
    let is_traced = || {
        let status = std::fs::read_to_string(&status).expect("it runs");
        !status.contains("TracerPid:\t0\n")
    };
    while !is_traced() {
        assert_eq!(strace.try_wait().expect("a child"), None, "strace attaches");
        thread::yield_now();
    }
    let refused = ctl(&target, &["enable", &pattern("LIVE_FALSE")]);
    strace.kill().expect("it runs");
    strace.wait().expect("it ends");
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("(strace) traces it already"), "{}", refused.stderr);
}

#[test]
fn ten_thousand_flips_under_load() {
    if is_target() {
        return;
    }
    use jlctl_patch_engine::process::{Edit, Edits, Memory, apply};
    let mut target = Target::start("ten_thousand_flips_under_load");
    let exe = env::current_exe().expect("this program");
    let directory = tempfile::tempdir().expect("a directory");
    let plan = directory.path().join("plan.json");
    let (exe, plan_path) = (exe.to_str().expect("UTF-8"), plan.to_str().expect("UTF-8"));
    let made = run(&mut jlctl(&["plan", exe, "--flip", "/LIVE_/", "--no-source", "-o", plan_path]));
    assert_eq!(made.code, 0, "{made:?}");
    let plan: Value = serde_json::from_slice(&std::fs::read(&plan).expect("a plan")).expect("JSON");
    let audited = json(&audit(&target));
    let number = |value: &Value| {
        u64::from_str_radix(value.as_str().expect("text").trim_start_matches("0x"), 16)
            .expect("hex")
    };
    let bias = number(&audited["images"][0]["bias"]);
    let bytes = |value: &Value| {
        let text = value.as_str().expect("text").as_bytes();
        let byte = |pair: &[u8]| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
        };
        text.chunks(2).map(byte).collect::<Vec<u8>>()
    };
    let edit = |op: &Value| Edit {
        address: number(&op["address"]).wrapping_add(bias),
        old: bytes(&op["old"]),
        new: bytes(&op["new"]),
    };
    let list = |name: &str| -> Vec<Edit> {
        plan[name].as_array().expect("a list").iter().map(edit).collect()
    };
    let there = Edits { code: list("ops"), words: list("key_writes") };
    let turn = |edits: &[Edit]| -> Vec<Edit> {
        let turn = |edit: &Edit| Edit { old: edit.new.clone(), new: edit.old.clone(), ..*edit };
        edits.iter().map(turn).collect()
    };
    let back = Edits { code: turn(&there.code), words: turn(&there.words) };
    let memory = Memory::open(target.child.id().cast_signed(), true).expect("it may");
    for flip in 0..10_000 {
        let edits = if flip % 2 == 0 { &there } else { &back };
        let pause = apply(&memory, edits, &|| false).expect("it is written");
        assert_eq!(pause.threads, 9);
        if flip % 100 < 2 {
            let wanted = ["[1, 1, 0, 0] true false", "[0, 0, 1, 1] false true"][flip % 2];
            assert_eq!(target.ask("?"), wanted, "after {flip} flips");
        }
    }
}
