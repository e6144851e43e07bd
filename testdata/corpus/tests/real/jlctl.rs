//! Runs the program under test and reads its report.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) schema: String,
    pub(crate) image: ImageRecord,
    pub(crate) table: Table,
    pub(crate) summary: Summary,
    pub(crate) keys: Option<Vec<Key>>,
    pub(crate) sites: Option<Vec<Site>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ImageRecord {
    pub(crate) arch: String,
    pub(crate) r#type: String,
    pub(crate) build_id: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) debug_info: bool,
    pub(crate) debug_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Table {
    pub(crate) address: String,
    pub(crate) end: String,
    pub(crate) entry_size: u64,
    pub(crate) layout: String,
    pub(crate) located_by: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) entries: usize,
    pub(crate) nop: usize,
    pub(crate) jmp: usize,
    pub(crate) other: usize,
    pub(crate) keys: usize,
    pub(crate) sections: BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) symbol: Option<String>,
    pub(crate) offset: Option<u64>,
    pub(crate) section: Option<String>,
    pub(crate) file_backed: bool,
    pub(crate) enabled: Option<i32>,
    pub(crate) initial: Option<String>,
    pub(crate) sites: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Site {
    pub(crate) index: usize,
    pub(crate) code: String,
    pub(crate) target: String,
    pub(crate) key: String,
    pub(crate) key_name: String,
    pub(crate) branch: String,
    pub(crate) insn: String,
    pub(crate) bytes: Option<String>,
    pub(crate) disassembly: Option<String>,
    pub(crate) section: Option<String>,
    pub(crate) function: Option<String>,
    pub(crate) function_offset: Option<u64>,
    pub(crate) source: Option<Vec<Frame>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Frame {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Diagnostic {
    pub(crate) code: String,
    pub(crate) severity: String,
    pub(crate) message: String,
}

impl Report {
    pub(crate) fn keys(&self) -> &[Key] {
        self.keys.as_deref().expect("the report lists keys")
    }

    pub(crate) fn sites(&self) -> &[Site] {
        self.sites.as_deref().expect("the report lists sites")
    }
}

/// `jlctl inspect --format json` with `options`, which must succeed.
pub(crate) fn inspect(image: &Path, options: &[&OsStr]) -> Report {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("report.json");
    let mut command = Command::new(binary());
    command.args(["inspect", "--format", "json", "--output"]).arg(&file).args(options).arg(image);
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "with --output nothing goes to stdout");
    let text = fs::read(&file).expect("a report");
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command to its end, without input and without the user's environment settings.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).env_remove("JLCTL_IMAGE").env("LC_ALL", "C");
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// The stderr of a command.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program: `$JLCTL_BIN`, or else a release build of this workspace.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let given = env::var_os("JLCTL_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
        let binary = given.unwrap_or_else(build);
        assert!(File::open(&binary).is_ok(), "{} does not exist", binary.display());
        binary
    })
}

/// One line of cargo's JSON output.
#[derive(Debug, Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

fn build() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command.args(["build", "--release", "--package=jlctl", "--bin=jlctl"]);
    command.arg("--message-format=json");
    let output = output(&mut command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    let lines = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts.filter_map(|artifact| artifact.executable).next_back().expect("an executable")
}
