//! Runs compilers and other programs. A missing program fails the test, and the message names
//! its package.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The time limit of a program.
const PATIENCE: Duration = Duration::from_secs(120);

/// The Debian package of each program that the tests run.
const PACKAGES: [(&str, &str); 12] = [
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("clang", "clang"),
    ("clang++", "clang"),
    ("ld.lld", "lld"),
    ("readelf", "binutils"),
    ("pkg-config", "pkg-config"),
    ("llvm-objdump-19", "llvm-19"),
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"),
    ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu and libc6-dev-riscv64-cross"),
    ("qemu-aarch64", "qemu-user"),
    ("qemu-riscv64", "qemu-user"),
];

/// The path of a fixture of this package.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The directory of results that several tests share.
pub(crate) fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs").join(name)
}

/// Fails if a program is missing.
pub(crate) fn demand(program: &str) {
    let found = Command::new(program).arg("--version").output();
    assert!(
        !found.is_err_and(|error| error.kind() == ErrorKind::NotFound),
        "{}",
        is_missing(program)
    );
}

fn is_missing(program: &str) -> String {
    let package = PACKAGES.iter().find(|(name, _)| *name == program);
    match package {
        Some((_, package)) => format!(
            "{program} is missing: install the package {package}, or run testdata/check as root"
        ),
        None => format!("{program} is missing"),
    }
}

/// Runs a command to its end, without input and in the locale C.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The caller's environment must not configure the runtime.
    for name in ["JLSHIM_NO_MEMBARRIER", "JLSHIM_BEST_EFFORT", "JLSHIM_PROC_MEM"] {
        command.env_remove(name);
    }
    let child = command.env("LC_ALL", "C").spawn().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        match error.kind() {
            ErrorKind::NotFound => panic!("{}", is_missing(&program)),
            _ => panic!("cannot run {command:?}: {error}"),
        }
    });
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap_or_else(|error| panic!("cannot wait: {command:?}: {error}")),
        Err(_) => {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            panic!("{command:?} has not ended after {PATIENCE:?}");
        }
    }
}

/// The output of a command that must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

/// Messages as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command, which must report that its own checks passed.
pub(crate) fn check_itself(command: &mut Command) {
    assert_eq!(run(command), "ok\n", "{command:?}");
}

/// Runs the program at `path`, which must report that its own checks passed.
pub(crate) fn run_program(path: &Path, arguments: &[&OsStr]) {
    check_itself(Command::new(path).args(arguments));
}
