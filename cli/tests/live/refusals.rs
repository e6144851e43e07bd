//! Processes that `jlctl ctl`, `jlctl audit` and `jlctl apply --pid` refuse, and the reasons that
//! they give.

use crate::command::{jlctl, of_program, root, run, utf8};
use crate::directory::Directory;
use crate::process::{OFF, ON, Process, plan_flips, program, shim_keys};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::{fs, thread};

#[test]
fn missing_processes_and_processes_without_keys_are_refused() {
    let target = Process::start_ready(&mut shim_keys());
    for gone in [&["ctl", "4194304", "list"][..], &["audit", "--pid", "4194304"]] {
        let gone = run(&mut jlctl(gone));
        assert_eq!((gone.code, gone.stdout.as_str()), (3, ""), "{gone:?}");
        assert!(gone.stderr.contains("no such process"), "{}", gone.stderr);
    }
    let unknown = target.ctl(&["enable", "no_such_key"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    // A program without a table.
    let mut sleep = Command::new("sleep").arg("60").spawn().expect("sleep starts");
    let without = run(&mut jlctl(&["ctl", &sleep.id().to_string(), "list"]));
    sleep.kill().expect("the process runs");
    sleep.wait().expect("the program ends");
    assert_eq!(without.code, 4, "{without:?}");
    assert!(without.stderr.contains("has a jump table"), "{}", without.stderr);
    // The image of another build.
    let demo = root().join("testdata/golden/images/vmlinux-demo");
    let other = target.ctl(&["list", "--image", utf8(&demo)]);
    assert_eq!(other.code, 4, "{other:?}");
    let usage = run(&mut jlctl(&["ctl", "-1", "list"]));
    assert_eq!(usage.code, 2, "{usage:?}");
}

/// strace, attached to all threads of a process.
fn strace(pid: &str) -> Child {
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=none", "-o", "/dev/null", "-p", pid])
        .spawn()
        .expect("strace starts");
    let status = format!("/proc/{pid}/status");
    while fs::read_to_string(&status).expect("the process runs").contains("TracerPid:\t0\n") {
        assert_eq!(strace.try_wait().expect("a child"), None, "strace attaches");
        thread::yield_now();
    }
    strace
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace: testdata/check runs it")]
fn a_traced_process_is_flipped_by_its_socket_alone() {
    let directory = Directory::new();
    let control = directory.path("control");
    let mut target = Process::start_ready(shim_keys().envs([("JLSHIM_CONTROL", utf8(&control))]));
    let mut strace = strace(&target.pid());
    // The tracer keeps other processes from stopping the target.
    let refused = target.ctl(&["--ptrace", "enable", "LIVE_FALSE"]);
    let asked = target.ctl(&["enable", "LIVE_FALSE"]);
    strace.kill().expect("the process runs");
    strace.wait().expect("the program ends");
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("(strace) traces it already"), "{}", refused.stderr);
    assert_eq!((asked.code, asked.stderr.as_str()), (0, ""), "{asked:?}");
    assert_eq!(target.ask("?"), ON);
}

#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root: testdata/check runs it")]
fn the_process_of_another_user_is_refused() {
    /// A user who owns nothing.
    const NOBODY: u32 = 65_534;
    let mut target = Process::start_ready(&mut shim_keys());
    let directory = Directory::new();
    let program = copy(Path::new(env!("CARGO_BIN_EXE_jlctl")), &directory, "jlctl");
    let pid = target.pid();
    for args in [&["ctl", &pid, "enable", "LIVE_FALSE"][..], &["audit", "--pid", &pid]] {
        let mut command = of_program(&program, args);
        let refused = run(command.current_dir("/").uid(NOBODY).gid(NOBODY));
        assert_eq!((refused.code, refused.stdout.as_str()), (5, ""), "{refused:?}");
        let reason = "the process belongs to user id 0, and this one to user id 65534: run jlctl as that \
             user or root";
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    }
    assert_eq!(target.ask("?"), OFF);
}

/// A copy of a program that every user may execute.
fn copy(program: &Path, directory: &Directory, name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory.root(), fs::Permissions::from_mode(0o755))
        .expect("the file is ours");
    let copy = directory.path(name);
    fs::copy(program, &copy).expect("the file is copied");
    copy
}

/// This program with another build id.
fn other_build(directory: &Directory) -> PathBuf {
    let mut bytes = fs::read(program("shim_keys")).expect("the file is readable");
    // An ELF note: three lengths and kinds of four bytes, the owner, the id (gABI, "Note
    // Section").
    let header = [4_u32, 20, 3].map(u32::to_le_bytes).concat();
    let header = [&header[..], b"GNU\0"].concat();
    let at = bytes.windows(header.len()).position(|window| window == header);
    let id = at.expect("the program has a build id of 20 bytes") + header.len();
    bytes[id] ^= 1;
    let path = directory.path("other");
    fs::write(&path, bytes).expect("the file is written");
    path
}

#[test]
fn a_program_whose_file_was_replaced_is_not_taken_for_the_new_file() {
    let directory = Directory::new();
    let path = copy(&program("shim_keys"), &directory, "program");
    let mut target = Process::start_ready(&mut Command::new(&path));
    fs::rename(other_build(&directory), &path).expect("the file is replaced");
    let named = target.ctl(&["enable", "LIVE_FALSE", "--image", utf8(&path)]);
    assert_eq!(named.code, 4, "{named:?}");
    assert!(
        named.stderr.contains("was replaced since the process was started"),
        "{}",
        named.stderr
    );
    assert_eq!(target.ask("?"), OFF);
    // The file that the program was started from still exists, without a name.
    let flipped = target.ctl(&["enable", "LIVE_FALSE", "--format", "json"]).json();
    assert_eq!(flipped["keys"][0]["enabled"], 1);
    assert_eq!(target.ask("?"), ON);
    assert_eq!(target.audit().code, 0);
}

#[test]
fn a_plan_for_another_build_is_refused() {
    let mut target = Process::start_ready(&mut shim_keys());
    let directory = Directory::new();
    let plan = plan_flips(&other_build(&directory), &directory);
    target.apply(&plan, &[]).fails(4, &["is not mapped"]);
    assert_eq!(target.ask("?"), OFF);
}
