//! Processes that `jlctl ctl`, `jlctl audit` and `jlctl apply --pid` leave alone, and what they
//! say of them.

use crate::command::{jlctl, of_program, root, run};
use crate::process::{OFF, ON, Process, json, program, shim_keys};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::{fs, thread};

#[test]
fn what_has_no_keys_or_is_not_there_is_refused() {
    let target = Process::start_ready(&mut shim_keys());
    for gone in [&["ctl", "4194304", "list"][..], &["audit", "--pid", "4194304"]] {
        let gone = run(&mut jlctl(gone));
        assert_eq!((gone.code, gone.stdout.as_str()), (3, ""), "{gone:?}");
        assert!(gone.stderr.contains("there is none"), "{}", gone.stderr);
    }
    let unknown = target.ctl(&["enable", "no_such_key"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    // A program without a table.
    let mut sleep = Command::new("sleep").arg("60").spawn().expect("sleep starts");
    let without = run(&mut jlctl(&["ctl", &sleep.id().to_string(), "list"]));
    sleep.kill().expect("it runs");
    sleep.wait().expect("it ends");
    assert_eq!(without.code, 4, "{without:?}");
    assert!(without.stderr.contains("has a jump table"), "{}", without.stderr);
    // Another build than what runs.
    let demo = root().join("testdata/golden/images/vmlinux-demo");
    let other = target.ctl(&["list", "--image", demo.to_str().expect("UTF-8")]);
    assert_eq!(other.code, 4, "{other:?}");
    let usage = run(&mut jlctl(&["ctl", "-1", "list"]));
    assert_eq!(usage.code, 2, "{usage:?}");
}

/// strace, attached to all threads of a process.
fn strace(pid: &str) -> Child {
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=none", "-o", "/dev/null", "-p", pid])
        .spawn()
        .expect("this test needs strace");
    let status = format!("/proc/{pid}/status");
    while fs::read_to_string(&status).expect("it runs").contains("TracerPid:\t0\n") {
        assert_eq!(strace.try_wait().expect("a child"), None, "strace attaches");
        thread::yield_now();
    }
    strace
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace: testdata/check runs it")]
fn a_process_that_is_traced_can_only_be_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let control = directory.path().join("control");
    let mut target = Process::start_ready(
        shim_keys().envs([("JLSHIM_CONTROL", control.to_str().expect("UTF-8"))]),
    );
    let mut strace = strace(&target.pid());
    // Who traces it keeps all others from stopping it.
    let refused = target.ctl(&["--ptrace", "enable", "LIVE_FALSE"]);
    let asked = target.ctl(&["enable", "LIVE_FALSE"]);
    strace.kill().expect("it runs");
    strace.wait().expect("it ends");
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("(strace) traces it already"), "{}", refused.stderr);
    assert_eq!((asked.code, asked.stderr.as_str()), (0, ""), "{asked:?}");
    assert_eq!(target.ask("?"), ON);
}

#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root: testdata/check runs it")]
fn another_user_s_process_is_refused() {
    /// A user who owns nothing.
    const NOBODY: u32 = 65_534;
    let mut target = Process::start_ready(&mut shim_keys());
    let directory = tempfile::tempdir().expect("a directory");
    let program = copy(Path::new(env!("CARGO_BIN_EXE_jlctl")), &directory, "jlctl");
    let pid = target.pid();
    for args in [&["ctl", &pid, "enable", "LIVE_FALSE"][..], &["audit", "--pid", &pid]] {
        let mut command = of_program(&program, args);
        let refused = run(command.current_dir("/").uid(NOBODY).gid(NOBODY));
        assert_eq!((refused.code, refused.stdout.as_str()), (5, ""), "needs root: {refused:?}");
        let told = "it belongs to user id 0, this is user id 65534: run jlctl as that user or root";
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    assert_eq!(target.ask("?"), OFF);
}

/// A copy of a program that everybody may execute.
fn copy(program: &Path, directory: &tempfile::TempDir, name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let copy = directory.path().join(name);
    fs::copy(program, &copy).expect("it can be copied");
    copy
}

/// This program with another build id.
fn other_build(directory: &tempfile::TempDir) -> PathBuf {
    let mut bytes = fs::read(program("shim_keys")).expect("it is readable");
    // An ELF note: three lengths and kinds of four bytes, the owner, the id (gABI, "Note
    // Section").
    let header = [4_u32, 20, 3].map(u32::to_le_bytes).concat();
    let header = [&header[..], b"GNU\0"].concat();
    let at = bytes.windows(header.len()).position(|window| window == header);
    let id = at.expect("it has a build id of 20 bytes") + header.len();
    bytes[id] ^= 1;
    let path = directory.path().join("other");
    fs::write(&path, bytes).expect("it is written");
    path
}

#[test]
fn a_program_whose_file_was_replaced_is_told_from_its_successor() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = copy(&program("shim_keys"), &directory, "program");
    let mut target = Process::start_ready(&mut Command::new(&path));
    fs::rename(other_build(&directory), &path).expect("it is replaced");
    let named = target.ctl(&["enable", "LIVE_FALSE", "--image", path.to_str().expect("UTF-8")]);
    assert_eq!(named.code, 4, "{named:?}");
    assert!(named.stderr.contains("was replaced since it was started"), "{}", named.stderr);
    assert_eq!(target.ask("?"), OFF);
    // What it was started from is still there, without a name.
    let flipped = json(&target.ctl(&["enable", "LIVE_FALSE", "--format", "json"]));
    assert_eq!(flipped["keys"][0]["enabled"], 1);
    assert_eq!(target.ask("?"), ON);
    assert_eq!(target.audit().code, 0);
}

#[test]
fn a_plan_for_another_build_is_refused() {
    let mut target = Process::start_ready(&mut shim_keys());
    let directory = tempfile::tempdir().expect("a directory");
    let (other, plan) = (other_build(&directory), directory.path().join("plan"));
    let (other, plan) = (other.to_str().expect("UTF-8"), plan.to_str().expect("UTF-8"));
    let made = run(&mut jlctl(&["plan", other, "--flip", "/LIVE_/", "--no-source", "-o", plan]));
    assert_eq!(made.code, 0, "{made:?}");
    let refused = run(&mut jlctl(&["apply", plan, "--pid", &target.pid()]));
    assert_eq!((refused.code, refused.stdout.as_str()), (4, ""), "{refused:?}");
    assert!(refused.stderr.contains("is not mapped"), "{}", refused.stderr);
    assert_eq!(target.ask("?"), OFF);
}
