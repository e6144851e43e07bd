//! Runs jlctl as a user does.

use serde_json::Value;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The demo image, relative to the workspace's root.
pub(crate) const DEMO: &str = "testdata/golden/images/vmlinux-demo";

/// The time after which a run counts as hanging; every command takes far less.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The standard output of a run that must succeed without a warning.
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// The JSON report of a run without a warning, whose exit code says what was found.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stderr, "", "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that the run fails with `code`, prints nothing and complains with `words`.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} in {}", self.stderr);
        }
    }
}

/// A path as an argument.
pub(crate) fn utf8(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// jlctl in the workspace's root, without the variables of the caller that it reads.
pub(crate) fn jlctl(args: &[&str]) -> Command {
    of_program(Path::new(env!("CARGO_BIN_EXE_jlctl")), args)
}

/// As [`jlctl`], for a copy of the program.
pub(crate) fn of_program(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    for name in ["JLCTL_IMAGE", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn inspect(args: &[&str]) -> Run {
    run(jlctl(&["inspect"]).args(args))
}

/// A report of `jlctl inspect` on the demo image, which has no findings.
pub(crate) fn report(args: &[&str]) -> String {
    let run = inspect(&[&[DEMO], args].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
    run.stdout
}

/// Runs a command to its end; panics if it hangs.
pub(crate) fn run(command: &mut Command) -> Run {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command);
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let code = wait(&mut child, &format!("{command:?}"));
    let text = |bytes: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8(bytes.join().expect("the pipe is readable")).expect("the output is UTF-8")
    };
    let run = Run { code, stdout: text(stdout), stderr: text(stderr) };
    assert!(!run.stderr.contains("panicked"), "{command:?}: {}", run.stderr);
    run
}

/// Starts a program, which may be a copy that a test has just made.  While another thread of this
/// process starts a program, its child holds all our open files for a moment, the copy that is
/// being written among them, and the kernel executes no file that is open for writing.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let start = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && start.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            child => return child.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        }
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("the stream is a pipe");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("the pipe is readable");
        bytes
    })
}

/// Sends SIGINT to a process.
pub(crate) fn interrupt(pid: &str) {
    let kill = format!("kill -INT {pid}");
    let done = Command::new("sh").args(["-c", &kill]).status();
    assert!(done.expect("sh starts").success());
}

/// The exit code; panics on a signal and on a hang.
pub(crate) fn wait(child: &mut Child, what: &str) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status.code().unwrap_or_else(|| panic!("{what}: {status}"));
        }
        if start.elapsed() > PATIENCE {
            child.kill().expect("the child can be ended");
            panic!("{what} still runs after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
