//! Programs that compilers made, and what jlctl and other tools say of them once they are linked.

use crate::command::{Run, root, run};
use crate::directory::Directory;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a program is built for, and the tools for it.
pub(crate) struct Machine {
    pub(crate) cc: &'static [&'static str],
    pub(crate) clang: &'static [&'static str],
    pub(crate) strip: &'static str,
    /// The target of Rust, and the variable that names cargo its linker.
    pub(crate) target: Option<(&'static str, &'static str)>,
    pub(crate) emulator: &'static [&'static str],
}

pub(crate) const NATIVE: Machine =
    Machine { cc: &["cc"], clang: &["clang"], strip: "strip", target: None, emulator: &[] };
pub(crate) const ARM64: Machine = Machine {
    cc: &["aarch64-linux-gnu-gcc"],
    clang: &["clang", "--target=aarch64-linux-gnu"],
    strip: "aarch64-linux-gnu-strip",
    target: Some(("aarch64-unknown-linux-gnu", "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER")),
    emulator: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
};

/// The names that a program with the keys `off_key` and `on_key` has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Its symbols, or the names of a link.
    Kept,
    /// Neither: keys are known by their addresses.
    Stripped,
}

/// A directory in which programs for one machine are compiled, linked and run.
pub(crate) struct Bench {
    pub(crate) directory: Directory,
    pub(crate) machine: Machine,
}

impl Bench {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { directory: Directory::new(), machine }
    }

    /// A directory with libjlshim for `machine` below `prefix`.
    pub(crate) fn with_library(machine: Machine) -> Self {
        let bench = Self::new(machine);
        let mut install = Command::new(root().join("runtime-shim/install"));
        install.arg(bench.path("prefix"));
        install.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("link"));
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            install.env_remove(name);
        }
        if let Some((target, linker)) = bench.machine.target {
            install.arg(target).env(linker, bench.machine.cc[0]);
        }
        let done = install.output().expect("runtime-shim/install starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        self.directory.read(name)
    }

    /// Compiles a file of `tests/c` into `out`.
    pub(crate) fn compile(&self, compiler: &[&str], source: &str, out: &str, options: &[&str]) {
        let mut command = Command::new(compiler[0]);
        command.args(&compiler[1..]).args(["-O2", "-o"]).arg(self.path(out)).arg("-I");
        command.arg(root().join("runtime-shim/include"));
        command.arg(root().join("cli/tests/c").join(source)).args(options);
        succeeds(&mut command);
    }

    pub(crate) fn jlctl(&self, args: &[&str]) -> Run {
        self.directory.jlctl(args)
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.directory.ok(args)
    }

    /// Asserts that `jlctl link` with these arguments fails with `code` and `words`, and writes
    /// nothing.
    pub(crate) fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let run = self.jlctl(&[&["link", "-o", "never"], args].concat());
        run.fails(code, words);
        assert!(!self.path("never").exists(), "{args:?}");
    }

    /// The command that runs a program of the directory.
    pub(crate) fn command(&self, program: &str) -> Command {
        let path = self.path(program);
        let mut command = match self.machine.emulator {
            [] => Command::new(&path),
            [emulator, options @ ..] => {
                let mut command = Command::new(emulator);
                command.args(options).arg(&path);
                command
            }
        };
        command.current_dir(self.directory.root());
        command
    }

    /// The output of a program, which must succeed.
    pub(crate) fn prints(&self, program: &str, arguments: &[&str]) -> String {
        succeeds(self.command(program).args(arguments))
    }

    /// Asserts that a link is taken out of `linked`, and leaves the file that was linked.
    pub(crate) fn gives_back(&self, linked: &str, original: &str) {
        self.ok(&["link", "--remove", linked, "-o", "back"]);
        assert!(self.read("back") == self.read(original), "{original}: not the file that it was");
    }

    /// Asserts that readelf has no complaint of `after`, and eu-elflint none that it does not
    /// have of `before`, the program as its linker made it.  Returns the output of readelf.
    pub(crate) fn well_formed(&self, before: &str, after: &str) -> String {
        let read = Command::new("readelf").args(["--all", "--wide"]).arg(self.path(after)).output();
        let read = read.expect("readelf starts: is the package binutils there?");
        assert_eq!(String::from_utf8_lossy(&read.stderr), "", "{before}");
        let known = complaints(&self.path(before));
        let found = complaints(&self.path(after));
        let new: Vec<_> = found.into_iter().filter(|line| !known.contains(line)).collect();
        assert!(new.is_empty(), "{before}: {new:?}");
        String::from_utf8_lossy(&read.stdout).into_owned()
    }

    /// Asserts that `program` has two sites of two sound keys, which can be flipped, and no
    /// findings of the lint, the runtime in a static program included.  The lint is about arm64,
    /// and says so of programs for other machines.
    pub(crate) fn has_two_keys(&self, program: &str, names: Names) {
        let keys = self.ok(&["inspect", program, "--keys", "--no-source", "--format", "csv"]);
        assert_eq!(keys.lines().count(), 3, "{program}: {keys}");
        let has = |name| keys.contains(name);
        let named = names == Names::Kept;
        assert_eq!((has("off_key"), has("on_key")), (named, named), "{program}: {keys}");
        let wish = if named { "on_key" } else { "*" };
        let plan = self.ok(&["plan", program, "--flip", wish, "--no-source", "--format", "json"]);
        let plan: Value = serde_json::from_str(&plan).expect("JSON");
        let ops = plan["ops"].as_array().map(Vec::len);
        assert_eq!(ops, Some(if named { 1 } else { 2 }), "{program}: {plan}");
        let lint = self.jlctl(&["lint", program]);
        let is_arm64 = self.machine.target.is_some();
        let (code, words) = if is_arm64 { (0, "") } else { (4, "expected code for arm64") };
        assert_eq!(lint.code, code, "{program}: {lint:?}");
        assert!(lint.stderr.contains(words), "{program}: {lint:?}");
    }
}

/// The output of a command, which must succeed.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let run = run(command);
    assert_eq!(run.code, 0, "{command:?}: {}{}", run.stdout, run.stderr);
    run.stdout
}

pub(crate) fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The complaints of eu-elflint, but for the one that it does not know the owner of jlctl's note.
fn complaints(program: &Path) -> Vec<String> {
    let lint = Command::new("eu-elflint").arg("--gnu-ld").arg(program).output();
    let lint = lint.expect("eu-elflint starts: is the package elfutils there?");
    let text = String::from_utf8_lossy(&lint.stdout).into_owned();
    let unknown = "unknown object file note type 1 with owner name 'jlctl' at offset ";
    let is_known = |line: &&str| line.contains(unknown) || *line == "No errors";
    text.lines().filter(|line| !is_known(line)).map(str::to_owned).collect()
}
