//! Builds programs for the guest.

use crate::VmError;
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of programs for the guest; all are static.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Programs of Rust alone, which need neither a C compiler nor its linker.
    Musl,
    /// Programs with parts in C: Debian's cross compiler and the GNU C library.
    Gnu,
}

impl Target {
    fn triple(self) -> &'static str {
        match self {
            Self::Musl => "aarch64-unknown-linux-musl",
            Self::Gnu => "aarch64-unknown-linux-gnu",
        }
    }

    /// Variables of cargo's environment.
    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Musl => &[("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")],
            Self::Gnu => &[
                ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
                (
                    "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
                    "-Ctarget-feature=+crt-static",
                ),
            ],
        }
    }
}

/// The profile of `Cargo.toml`.
const PROFILE: &str = "guest";

/// The hint for a missing emulator of programs.
const HINT: &str = "testdata/check installs it, on Debian from the package qemu-user";

/// Test programs of a package of the workspace.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// The package.
    pub package: &'static str,
    /// The selection of its tests, as options of `cargo test`: `--lib`, `--tests`, `--test
    /// NAME`.
    pub targets: &'static [&'static str],
    /// Parts of the names of the tests that run; empty if all do.
    pub filter: &'static [&'static str],
    /// Examples of the package that the tests start.
    pub examples: &'static [&'static str],
    /// Their target.
    pub target: Target,
    /// Files that they read, by paths from the workspace's root.
    pub files: &'static [&'static str],
}

impl Suite {
    /// Tests of Rust alone, which read no files.
    #[must_use]
    pub const fn new(package: &'static str, targets: &'static [&'static str]) -> Self {
        Self { package, targets, filter: &[], examples: &[], target: Target::Musl, files: &[] }
    }
}

/// The result of building a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its test programs.
    pub tests: Vec<TestProgram>,
    /// The files that they need in the guest: those of the suite, and the programs and examples
    /// of the package.
    pub files: Vec<PathBuf>,
}

/// A test program for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestProgram {
    /// Its name in cargo.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
}

/// A test of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTest {
    /// Its path in the program.
    pub name: String,
    /// Whether it is ignored unless requested.
    pub is_ignored: bool,
}

/// Builds the guest's init.
///
/// # Errors
///
/// If cargo cannot build it; cargo reports the reason on stderr.
pub fn init() -> Result<PathBuf, VmError> {
    let what = "jlctl-guest-init";
    let mut command = cargo("build", Target::Musl);
    command.args(["--package", "jlctl-guest", "--bin", what]);
    let messages = output(&mut command)?;
    let mut built =
        executables(&messages).filter(|(program, is_test)| program.name == what && !is_test);
    let built = built.next().map(|(program, _)| program.path);
    built.ok_or_else(|| not_built(&command, what))
}

/// Builds the test programs of `suite`.
///
/// # Errors
///
/// If cargo cannot build them, or builds none; cargo reports the reason on stderr.
pub fn tests(suite: &Suite) -> Result<Built, VmError> {
    let mut command = cargo("test", suite.target);
    command.args(["--no-run", "--package", suite.package]).args(suite.targets);
    let messages = output(&mut command)?;
    let (tests, programs): (Vec<_>, Vec<_>) =
        executables(&messages).partition(|(_, is_test)| *is_test);
    if tests.is_empty() {
        return Err(not_built(&command, "tests"));
    }
    let mut files: Vec<PathBuf> = suite.files.iter().map(|file| root().join(file)).collect();
    files.extend(programs.into_iter().map(|(program, _)| program.path));
    if !suite.examples.is_empty() {
        let mut command = cargo("build", suite.target);
        command.args(["--package", suite.package]);
        suite.examples.iter().for_each(|example| _ = command.args(["--example", example]));
        let messages = output(&mut command)?;
        files.extend(executables(&messages).map(|(program, _)| program.path));
    }
    Ok(Built { tests: tests.into_iter().map(|(program, _)| program).collect(), files })
}

/// The tests of `program` that `filter` selects, which it lists without the machine: on hosts
/// of another architecture an emulator runs the program.
///
/// # Errors
///
/// If the program cannot be run.
pub fn list(program: &Path, filter: &[&str]) -> Result<Vec<ListedTest>, VmError> {
    let names = |options: &[&str]| {
        let mut command = if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
            Command::new(program)
        } else {
            let mut command = Command::new("qemu-aarch64");
            command.arg(program);
            command
        };
        command.args(["--list", "--format", "terse"]).args(options).args(filter);
        Ok::<Vec<String>, VmError>(listed(&output(command.stderr(Stdio::piped()))?))
    };
    let ignored = names(&["--ignored"])?;
    let test = |name| ListedTest { is_ignored: ignored.contains(&name), name };
    Ok(names(&[])?.into_iter().map(test).collect())
}

/// The names in lines `NAME: test`; benchmarks have other lines.
fn listed(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cargo(action: &str, target: Target) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root())
        .args([action, "--profile", PROFILE, "--target", target.triple()])
        .arg("--message-format=json-render-diagnostics")
        .envs(target.environment().iter().copied());
    command
}

fn output(command: &mut Command) -> Result<String, VmError> {
    let result = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let output = result
        .and_then(std::process::Child::wait_with_output)
        .map_err(|source| VmError::Spawn { command: line(command), hint: HINT, source })?;
    if !output.status.success() {
        return Err(VmError::Command {
            command: line(command),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The executables that cargo's messages name, and whether they are tests.
fn executables(messages: &str) -> impl Iterator<Item = (TestProgram, bool)> {
    messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        let name = message["target"]["name"].as_str()?.to_owned();
        let is_test = message["profile"]["test"].as_bool()?;
        Some((TestProgram { name, path }, is_test))
    })
}

fn not_built(command: &Command, what: &str) -> VmError {
    VmError::NotBuilt { command: line(command), what: what.to_owned() }
}

/// The command line, for messages.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_messages_of_cargo() {
        let artifact = |name: &str, test: bool, executable: &str| {
            format!(r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"#)
                + &format!(r#""profile":{{"test":{test}}},"executable":{executable}}}"#)
        };
        let messages = [
            artifact("library", false, "null"),
            artifact("init", false, "\"/t/init\""),
            "running".to_owned(),
            artifact("machine", true, "\"/t/machine-1\""),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let program = |name: &str, path: &str| TestProgram { name: name.into(), path: path.into() };
        let found: Vec<_> = executables(&messages.join("\n")).collect();
        let expected =
            [(program("init", "/t/init"), false), (program("machine", "/t/machine-1"), true)];
        assert_eq!(found, expected);
    }

    #[test]
    fn tests_are_found_in_a_list() {
        assert_eq!(listed("a::b: test\nc: benchmark\nd: test\n\n"), ["a::b", "d"]);
    }

    #[test]
    fn an_unknown_package_is_an_error() {
        let suite = Suite::new("jlctl-no-such-package", &["--lib"]);
        let error = tests(&suite).expect_err("there is none");
        assert!(matches!(&error, VmError::Command { command, .. } if command.contains("no-such")));
    }
}
