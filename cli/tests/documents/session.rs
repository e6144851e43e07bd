//! The sessions of a document: its commands, run as they stand there, and what they print.
//!
//! A session is a fenced block whose first word is `console`. Lines that begin with `$ ` are
//! commands for bash, which a line with `> ` continues; the lines between are their output.
//! `…` on a line of its own stands for any number of lines, within a line for any text. The
//! words after `console` say what a block needs and how its last command ends:
//!
//! * `kernel`: the pinned kernel of the corpus as `vmlinux` and `vmlinuz` (feature
//!   `real-images`);
//! * `shim`: libjlshim, built and installed (feature `tools`);
//! * `cross`: a C compiler for arm64 (feature `emulation`);
//! * `ptrace`: processes that are no children may be traced;
//! * `exit=N`: the last command ends with the status N, and not with 0.
//!
//! The blocks of a document share one directory and one shell, in their order.

use crate::command::root;
#[cfg(feature = "real-images")]
use jlctl_corpus::{self as corpus, Image};
use snapbox::data::Data;
use snapbox::filter::NormalizeToExpected;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A document of the repository.
pub(crate) struct Document {
    path: PathBuf,
    lines: Vec<String>,
    blocks: Vec<Block>,
}

struct Block {
    /// What its commands need.
    needs: Vec<String>,
    /// The exit status of its last command.
    status: i32,
    commands: Vec<Documented>,
}

struct Documented {
    text: String,
    /// The lines of its output in the document.
    output: Range<usize>,
}

/// What a command printed, on both streams, and how it ended.
struct Outcome {
    output: String,
    status: i32,
}

/// Ends the output of a command; the exit status follows.
const MARK: char = '\u{1e}';

/// Waits until the process that was started last is no longer the shell.
const AWAIT_EXEC: &str = "while [[ /proc/$!/exe -ef /proc/$$/exe ]]; do sleep 0.01; done\n";

impl Document {
    /// Reads a document, by its path from the workspace's root.
    pub(crate) fn read(path: &str) -> Self {
        let path = root().join(path);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let blocks = blocks(&lines);
        Self { path, lines, blocks }
    }

    /// Whether a command of some block is exactly `line`.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.blocks.iter().flat_map(|block| &block.commands).any(|command| command.text == line)
    }

    /// Runs the blocks whose needs `workspace` meets, and compares what they print.
    ///
    /// With `UPDATE_EXPECT=1` in the environment the document gets the new output; what
    /// stands for any text is kept where it still fits.
    pub(crate) fn check(&mut self, workspace: &Workspace) {
        let blocks: Vec<&Block> =
            self.blocks.iter().filter(|block| workspace.meet(block)).collect();
        let left_out = self.blocks.len() - blocks.len();
        if left_out > 0 {
            eprintln!(
                "{}: left out {left_out} of {} sessions: {}",
                self.path.display(),
                self.blocks.len(),
                workspace.lacking()
            );
        }
        let commands: Vec<&Documented> = blocks.iter().flat_map(|block| &block.commands).collect();
        let outcomes = workspace.run(commands.iter().map(|command| command.text.as_str()));
        let statuses = blocks.iter().flat_map(|block| {
            let before = block.commands.len().saturating_sub(1);
            std::iter::repeat_n(0, before).chain([block.status])
        });
        let mut wrong = String::new();
        let mut replaced = Vec::new();
        for ((command, outcome), status) in commands.iter().zip(&outcomes).zip(statuses) {
            let expected = pattern(&self.lines[command.output.clone()]);
            let found = fitted(&outcome.output, &expected);
            if found == expected && outcome.status == status {
                continue;
            }
            let line = command.output.start;
            let (text, ended) = (&command.text, outcome.status);
            let _ = writeln!(
                wrong,
                "{}:{line}: $ {text}\n--- expected, with the status {status}\n{expected}\
                 --- found, with the status {ended}\n{found}",
                self.path.display()
            );
            replaced.push((command.output.clone(), found));
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            for (lines, found) in replaced.into_iter().rev() {
                self.lines.splice(lines, found.lines().map(shown));
            }
            fs::write(&self.path, self.lines.join("\n") + "\n").expect("the document is writable");
        }
        assert!(wrong.is_empty(), "{wrong}UPDATE_EXPECT=1 takes what was found");
    }
}

fn blocks(lines: &[String]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut numbered = lines.iter().enumerate();
    while let Some((_, line)) = numbered.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let start = numbered.clone().next().map_or(lines.len(), |(index, _)| index);
        let end = numbered.find(|(_, line)| *line == "```").map_or(lines.len(), |(index, _)| index);
        let mut words = info.split_whitespace();
        if words.next() == Some("console") {
            let words: Vec<&str> = words.collect();
            let status = words.iter().find_map(|word| word.strip_prefix("exit="));
            blocks.push(Block {
                status: status.map_or(0, |status| status.parse().expect("exit=N")),
                needs: words
                    .iter()
                    .filter(|word| !word.contains('='))
                    .map(|w| (*w).into())
                    .collect(),
                commands: commands(lines, start..end),
            });
        }
    }
    blocks
}

fn commands(lines: &[String], range: Range<usize>) -> Vec<Documented> {
    let mut commands: Vec<Documented> = Vec::new();
    for index in range {
        let line = &lines[index];
        if let Some(text) = line.strip_prefix("$ ") {
            let output = index + 1..index + 1;
            commands.push(Documented { text: text.to_owned(), output });
            continue;
        }
        let command = commands.last_mut().unwrap_or_else(|| panic!("no command before {line:?}"));
        match line.strip_prefix("> ") {
            Some(more) if command.output.is_empty() => {
                command.text = format!("{}\n{more}", command.text);
                command.output = index + 1..index + 1;
            }
            _ => command.output.end = index + 1,
        }
    }
    commands
}

/// The lines of a document as a pattern of snapbox.
fn pattern(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| match line.trim() {
        "…" => "...\n".to_owned(),
        _ => format!("{}\n", line.replace('…', "[..]")),
    });
    lines.collect()
}

/// A line of a pattern as documents show it.
fn shown(line: &str) -> String {
    if line == "..." { "…".to_owned() } else { line.replace("[..]", "…") }
}

/// `output` with the wildcards of `expected` where they fit.
fn fitted(output: &str, expected: &str) -> String {
    let output = if output.is_empty() || output.ends_with('\n') {
        output.to_owned()
    } else {
        format!("{output}\n")
    };
    let expected = Data::text(expected);
    let found = NormalizeToExpected::new().redact().normalize(Data::text(output), &expected);
    found.to_string()
}

/// The directory that sessions run in, and what they can use.
pub(crate) struct Workspace {
    directory: tempfile::TempDir,
    kernel: bool,
    prefix: Option<PathBuf>,
}

impl Workspace {
    /// A directory with what every session has: the repository's examples and images.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        for path in ["testdata", "runtime-shim", "runtime-shim/examples"] {
            let path = root().join(path);
            let link = directory.path().join(path.file_name().expect("a name"));
            std::os::unix::fs::symlink(path, link).expect("a link");
        }
        Self { directory, kernel: false, prefix: None }
    }

    /// The pinned kernel too, by links to the corpus or copies of it.
    #[cfg(feature = "real-images")]
    pub(crate) fn with_kernel(mut self) -> Self {
        for (name, artefact) in [("vmlinux", "vmlinux-5.10"), ("vmlinuz", "vmlinuz-5.10")] {
            let image = corpus_file(artefact);
            let to = self.directory.path().join(name);
            // A symbolic link would show its target in reports.
            if fs::hard_link(&image, &to).is_err() {
                fs::copy(&image, &to).expect("the kernel can be copied");
            }
        }
        let modules = self.directory.path().join("modules");
        std::os::unix::fs::symlink(corpus_file("modules-5.10"), modules).expect("a link");
        self.kernel = true;
        self
    }

    /// libjlshim too, built and installed.
    #[cfg(feature = "tools")]
    pub(crate) fn with_shim(mut self) -> Self {
        let prefix = self.directory.path().join("usr");
        let mut install = Command::new(root().join("runtime-shim/install"));
        let output = install.arg(&prefix).stdin(Stdio::null()).output().expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.prefix = Some(prefix);
        self
    }

    /// The directory of the session.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn meet(&self, block: &Block) -> bool {
        block.needs.iter().all(|need| match need.as_str() {
            "kernel" => self.kernel,
            "shim" => self.prefix.is_some(),
            "cross" => cfg!(feature = "emulation"),
            "ptrace" => may_trace(),
            other => panic!("a session needs {other:?}, which is unknown"),
        })
    }

    fn lacking(&self) -> String {
        let features = [
            ("the feature real-images", self.kernel),
            ("the feature tools", self.prefix.is_some()),
            ("the feature emulation", cfg!(feature = "emulation")),
        ];
        let lacking = features.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name);
        let mut lacking: Vec<&str> = lacking.collect();
        if !may_trace() {
            lacking.push("root, or 0 in kernel.yama.ptrace_scope");
        }
        format!("they need {}", lacking.join(", "))
    }

    /// What each of some commands prints, in one shell.
    pub(crate) fn outputs(&self, commands: &[&str]) -> Vec<String> {
        let outcomes = self.run(commands.iter().copied());
        outcomes.into_iter().map(|outcome| outcome.output).collect()
    }

    fn run<'a>(&self, commands: impl IntoIterator<Item = &'a str>) -> Vec<Outcome> {
        let mut script = String::from(
            "exec 2>&1\n\
             trap 'kill $(jobs -p) 2>/dev/null' EXIT\n\
             cargo() { [[ \"$1 $2 $3\" == 'run --release --' ]] && shift 3 && jlctl \"$@\"; }\n",
        );
        let mut count = 0;
        for command in commands {
            let _ = writeln!(script, "{command}");
            if command.ends_with('&') {
                script.push_str(AWAIT_EXEC);
            }
            let _ = writeln!(script, "printf '{MARK}%d{MARK}' $?");
            count += 1;
        }
        let program = Path::new(env!("CARGO_BIN_EXE_jlctl")).parent().expect("its directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-c", &script]).current_dir(self.directory.path());
        shell.stdin(Stdio::null()).stderr(Stdio::inherit());
        for name in ["JLCTL_IMAGE", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            shell.env_remove(name);
        }
        shell.env("PATH", format!("{}:{path}", program.display())).env("LC_ALL", "C.UTF-8");
        shell.env("C_INCLUDE_PATH", root().join("runtime-shim/include"));
        if let Some(prefix) = &self.prefix {
            shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
            shell.env("LD_LIBRARY_PATH", prefix.join("lib"));
        }
        let output = shell.output().expect("bash can be run");
        let text = String::from_utf8(output.stdout).expect("output is UTF-8");
        let mut parts = text.split(MARK);
        let mut outcomes = Vec::new();
        while let (Some(output), Some(status)) = (parts.next(), parts.next()) {
            let status = status.parse().expect("a number");
            outcomes.push(Outcome { output: output.to_owned(), status });
        }
        assert_eq!(outcomes.len(), count, "the shell ended early: {text}");
        outcomes
    }
}

/// Whether processes that are no children may be traced (Linux
/// `Documentation/admin-guide/LSM/Yama.rst`).
fn may_trace() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    is_root || scope.map_or(true, |scope| scope.trim() == "0")
}

/// Where the corpus has a file or directory of a kernel.
#[cfg(feature = "real-images")]
fn corpus_file(name: &str) -> PathBuf {
    let image = Image::ALL.into_iter().find(|image| image.name() == name).expect("an artefact");
    corpus::path(image).unwrap_or_else(|| panic!("{name} is not in the cache: fetch it"))
}
