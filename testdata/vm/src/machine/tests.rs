//! The host's side alone: shell scripts replace the emulator and write records.

use super::*;
use jlctl_guest::Ending;
use std::process::Command;

/// A shell script at `path`. Another process writes the script: a test that forks at the same
/// time would inherit the open file, and an open file cannot be executed.
fn executable(path: &Path, script: &str) -> PathBuf {
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod +x \"$0\"";
    let status = Command::new("sh").args(["-c", write]).arg(path).arg(script).status();
    assert!(status.expect("there is a shell").success());
    path.to_owned()
}

/// Runs two programs with a shell script as emulator.
fn run(script: &str, limit: Duration) -> (Boot, Vec<Record>) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, "").expect("a file");
        path
    };
    let emulator = executable(&directory.path().join("emulator"), script);
    let (kernel, init) = (file("kernel"), file("init"));
    let programs = ["first", "second"].map(|name| Program::new(file(name)));
    let programs = programs.map(|program| program.limit(Duration::ZERO));
    let mut seen = Vec::new();
    let machine = Machine { emulator, kernel, init, limit };
    let boot = machine.run(&programs, &mut |record| seen.push(record.clone()));
    (boot.expect("the script is started"), seen)
}

const LONG: Duration = Duration::from_secs(60);

fn failure(boot: &Boot) -> String {
    boot.failure.as_ref().expect("it fails").to_string()
}

#[test]
fn the_records_of_a_complete_run_are_read() {
    let (boot, seen) = run(
        "echo 'ready 4 6.12'; echo 'start 0'; echo 'stdout 0 hi%0A'; echo 'end 0 5 exit 3'
        echo 'start 1'; echo 'end 1 6 not-started no'; echo off",
        LONG,
    );
    assert!(boot.failure.is_none(), "{:?}", boot.failure);
    let up = boot.up.as_ref().expect("it was up");
    assert_eq!((up.release.as_str(), up.cpus), ("6.12", 4));
    let endings: Vec<_> = boot.runs.iter().map(|run| run.ending.clone()).collect();
    let not_started = Ending::NotStarted("no".to_owned());
    assert_eq!(endings, [Some(Ending::Exit(3)), Some(not_started)]);
    assert_eq!(boot.runs[0].stdout, b"hi\n");
    assert_eq!(seen.len(), 7);
}

#[test]
fn a_panic_is_reported_with_what_ran_before() {
    let (boot, _) = run(
        "echo 'ready 4 6.12'; echo 'start 0'; echo 'end 0 5 exit 0'; echo 'start 1'
        echo '[ 1.0] Kernel panic - not syncing: no luck' > console; echo 'stdout 1 cut'; printf 'stdo'",
        LONG,
    );
    let failure = failure(&boot);
    assert!(failure.starts_with("the guest's kernel panicked: no luck\n"), "{failure}");
    assert_eq!(boot.runs[0].ending, Some(Ending::Exit(0)));
    assert_eq!((boot.runs[1].started, boot.runs[1].ending.clone()), (true, None));
    assert_eq!(boot.runs[1].stdout, b"cut");
}

#[test]
fn an_emulator_that_gives_up_is_reported_with_its_message() {
    let (boot, _) = run("echo 'no such machine' >&2; exit 7", LONG);
    let failure = failure(&boot);
    assert!(failure.contains("exit status: 7"), "{failure}");
    assert!(failure.contains("\nno such machine\n"), "{failure}");
    assert!(boot.up.is_none() && boot.runs.iter().all(|run| !run.started));
}

#[test]
fn a_guest_that_hangs_is_killed_at_the_limit() {
    let limit = Duration::from_millis(300);
    let hanging = "echo 'a last word' > console; exec sleep 60";
    for (before, doing) in [
        (":", "before its init was up"),
        ("echo 'ready 4 6.12'", "with no program running"),
        ("echo 'ready 4 6.12'; echo 'start 1'", "running /"),
    ] {
        let (boot, _) = run(&format!("{before}; {hanging}"), limit);
        let failure = failure(&boot);
        let expected = format!("the machine was not done after 0.3 s, {doing}");
        assert!(failure.starts_with(&expected), "{failure}");
        assert!(failure.ends_with("\n  a last word"), "{failure}");
        assert!(boot.duration >= limit && boot.duration < LONG / 2, "{:?}", boot.duration);
    }
}

#[test]
fn a_line_that_is_not_a_record_ends_the_run() {
    for line in ["Oops", "start 2", "end 0 1 exit"] {
        let (boot, _) = run(&format!("echo '{line}'; exec sleep 60"), LONG);
        assert_eq!(failure(&boot), format!("the guest sent a line that is not a record: {line:?}"));
        assert!(boot.duration < LONG / 2);
    }
    // An endless line is neither awaited nor stored.
    let (boot, _) = run("exec tr '\\0' x < /dev/zero", LONG);
    assert!(failure(&boot).starts_with("the guest sent more than 64 MiB"), "{}", failure(&boot));
}

#[test]
fn a_missing_emulator_is_named_with_its_package() {
    let kernel = tempfile::NamedTempFile::new().expect("a file");
    let machine =
        Machine { emulator: "/no/qemu".into(), ..Machine::new(kernel.path(), kernel.path()) };
    let error = machine.run(&[], &mut |_| {}).expect_err("it is not there");
    assert!(error.to_string().starts_with("cannot run /no/qemu; "), "{error}");
    assert!(error.to_string().ends_with("qemu-system-arm"), "{error}");
}
