//! A library whose file was replaced while a program has it mapped.  The kernel's link to the
//! mapping still leads to the old file, for root.

use crate::command::{Run, jlctl, root, run, utf8};
use crate::directory::Directory;
use crate::process::Process;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// A program and its two libraries, with a key each, below `directory`.
fn build(directory: &Path) {
    let tests = root().join("cli/tests/c");
    let gcc = |args: &[&str], source: &str, out: &str| {
        let mut gcc = Command::new("cc");
        gcc.current_dir(directory).arg("-I").arg(root().join("runtime-shim/include"));
        let done = run(gcc.arg("-O2").arg(tests.join(source)).args(args).args(["-o", out]));
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    };
    gcc(&["-fPIC", "-shared", "-Wl,--build-id"], "library.c", "library.so");
    let other = ["-Dlibrary_key=kept_key", "-Dlibrary_value=value", "-Dlibrary_address=address"];
    let other = [&["-fPIC", "-shared", "-Wl,--build-id"], &other[..]].concat();
    gcc(&other, "library.c", "kept.so");
    let linked = ["-Wl,--no-as-needed", "./library.so", "./kept.so", "-Wl,-rpath,$ORIGIN"];
    gcc(&linked, "library_host.c", "host");
}

/// The program, which answers each line with the value that its library's key selects.
fn start(directory: &Path) -> Process {
    let mut host = Process::start(Command::new(directory.join("host")).current_dir(directory));
    assert_eq!(host.ask(""), "0");
    host
}

fn parsed(run: &Run) -> Value {
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    serde_json::from_str(&run.stdout).expect("the report is JSON")
}

#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root: testdata/check runs it")]
fn a_library_whose_file_was_replaced_is_flipped() {
    let directory = Directory::new();
    let directory = directory.root();
    build(directory);
    let mut host = start(directory);
    let pid = host.pid();
    let other = directory.join("other");
    fs::write(&other, "its successor").expect("the file is written");
    fs::rename(&other, directory.join("library.so")).expect("the file is replaced");
    let flip = |action| run(&mut jlctl(&["ctl", &pid, action, "library_key", "--format", "json"]));
    let flipped = parsed(&flip("enable"));
    assert_eq!((&flipped["keys"][0]["enabled"], &flipped["unread"]), (&1.into(), &json!([])));
    assert_eq!(host.ask(""), "1");
    let audit = parsed(&run(&mut jlctl(&["audit", "--pid", &pid, "--format", "json"])));
    assert_eq!((&audit["sites"], &audit["unread"]), (&2.into(), &json!([])));
    parsed(&flip("disable"));
    assert_eq!(host.ask(""), "0");
}

/// The capabilities to open the kernel's links to mapped files (proc_pid_map_files(5)) and files
/// without read permission.
const CAPABILITIES: &str = "-sys_admin,-checkpoint_restore,-dac_override,-dac_read_search";

#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root and setpriv: testdata/check runs it")]
fn libraries_that_cannot_be_opened_are_reported() {
    let directory = Directory::new();
    let directory = directory.root();
    build(directory);
    let mut host = start(directory);
    let pid = host.pid();
    let library = directory.join("library.so");
    fs::remove_file(&library).expect("the file is ours");
    let library = utf8(&library);
    let without = |args: &[&str]| {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES]);
        run(setpriv.arg(env!("CARGO_BIN_EXE_jlctl")).args(args))
    };
    let replaced = "it was replaced or removed after it was mapped, and only root can open it";
    let warning = format!("process {pid}: keys and sites in {library} are skipped: {replaced}");
    for args in [&["ctl", &pid, "enable", "kept_key"][..], &["audit", "--pid", &pid]] {
        let done = without(&[args, &["--format", "json"]].concat());
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stderr.starts_with(&format!("jlctl: warning: {warning}")), "{}", done.stderr);
        let report: Value = serde_json::from_str(&done.stdout).expect("the report is JSON");
        assert_eq!(report["unread"], json!([{ "path": library, "reason": replaced }]), "{report}");
    }
    let kept = directory.join("kept.so");
    let named = ["--image", utf8(&kept), "--format", "json"];
    let named = parsed(&without(&[&["ctl", &pid, "list"], &named[..]].concat()));
    assert_eq!((&named["keys"][0]["enabled"], &named["unread"]), (&json!(1), &Value::Null));
    // No mapped file with keys is readable.
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o111)).expect("the file is ours");
    let refused = without(&["ctl", &pid, "enable", "library_key"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (4, ""), "{refused:?}");
    for (path, why) in [(library, replaced), (utf8(&kept), "")] {
        let reason = format!("; {path} could not be read: {why}");
        assert!(refused.stderr.contains(&reason), "{}", refused.stderr);
    }
    assert!(refused.stderr.contains("Permission denied"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("it has no static keys"), "{}", refused.stderr);
    assert_eq!(host.ask(""), "0");
}
