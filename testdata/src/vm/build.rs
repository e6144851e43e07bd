//! Builds programs for the guest.

use super::VmError;
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Static programs that need neither a C compiler nor its linker.
const TARGET: &str = "aarch64-unknown-linux-musl";
const LINKER: (&str, &str) = ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");

/// The profile of `Cargo.toml`.
const PROFILE: &str = "guest";

/// What to do when an emulator of programs is missing.
const HINT: &str = "testdata/check installs it, on Debian from the package qemu-user";

/// Test programs of a package of the workspace.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// The package.
    pub package: &'static str,
    /// Which of its tests, as options of `cargo test`: `--lib`, `--tests`, `--test NAME`.
    pub targets: &'static [&'static str],
}

/// A test program for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestProgram {
    /// Its name, as cargo has it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A test of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTest {
    /// Its path in its program.
    pub name: String,
    /// Whether it is only run on demand.
    pub is_ignored: bool,
}

/// Builds the guest's init.
///
/// # Errors
///
/// If cargo cannot build it; cargo itself says on stderr why.
pub fn init() -> Result<PathBuf, VmError> {
    let what = "jlctl-guest-init";
    let mut command = cargo("build");
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
/// If cargo cannot build them, or builds none; cargo itself says on stderr why.
pub fn tests(suite: &Suite) -> Result<Vec<TestProgram>, VmError> {
    let mut command = cargo("test");
    command.args(["--no-run", "--package", suite.package]).args(suite.targets);
    let messages = output(&mut command)?;
    let tests: Vec<TestProgram> = executables(&messages)
        .filter(|(_, is_test)| *is_test)
        .map(|(program, _)| program)
        .collect();
    if tests.is_empty() { Err(not_built(&command, "tests")) } else { Ok(tests) }
}

/// The tests of `program`, which tells them without a machine: by emulation of one
/// program on hosts of another kind.
///
/// # Errors
///
/// If the program cannot be run.
pub fn list(program: &Path) -> Result<Vec<ListedTest>, VmError> {
    let names = |options: &[&str]| {
        let mut command = if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
            Command::new(program)
        } else {
            let mut command = Command::new("qemu-aarch64");
            command.arg(program);
            command
        };
        command.args(["--list", "--format", "terse"]).args(options);
        Ok::<Vec<String>, VmError>(listed(&output(command.stderr(Stdio::piped()))?))
    };
    let ignored = names(&["--ignored"])?;
    let test = |name| ListedTest { is_ignored: ignored.contains(&name), name };
    Ok(names(&[])?.into_iter().map(test).collect())
}

/// The names in lines `NAME: test`; benchmarks have lines of their own.
fn listed(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

fn cargo(action: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args([action, "--profile", PROFILE, "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .env(LINKER.0, LINKER.1);
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
    fn a_package_that_there_is_not_is_an_error() {
        let suite = Suite { package: "jlctl-no-such-package", targets: &["--lib"] };
        let error = tests(&suite).expect_err("there is none");
        assert!(matches!(&error, VmError::Command { command, .. } if command.contains("no-such")));
    }
}
