//! libjlshim, installed once for each target and used by all tests.

use crate::tools::{demand, kept, run, workspace};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The machine that the tests run on.
    Native,
    Aarch64,
    Riscv64,
}

impl Target {
    /// Its triple in the Rust toolchain.
    pub(crate) fn triple(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Aarch64 => Some("aarch64-unknown-linux-gnu"),
            Self::Riscv64 => Some("riscv64gc-unknown-linux-gnu"),
        }
    }

    /// Its cross compiler of C.
    pub(crate) fn gcc(self) -> &'static str {
        match self {
            Self::Native => "gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
            Self::Riscv64 => "riscv64-linux-gnu-gcc",
        }
    }

    /// The emulator of its programs, with the root of the C library.
    pub(crate) fn emulator(self) -> Option<[&'static str; 3]> {
        match self {
            Self::Native => None,
            Self::Aarch64 => Some(["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
            Self::Riscv64 => Some(["qemu-riscv64", "-L", "/usr/riscv64-linux-gnu"]),
        }
    }

    /// A command that runs `program`.
    pub(crate) fn command(self, program: &Path) -> Command {
        match self.emulator() {
            None => Command::new(program),
            Some([emulator, arguments @ ..]) => {
                let mut command = Command::new(emulator);
                command.args(arguments).arg(program);
                command
            }
        }
    }
}

/// An installed libjlshim.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) prefix: PathBuf,
}

impl Library {
    /// Installs the library for `target`, unless the installation is up to date.
    pub(crate) fn of(target: Target) -> Self {
        demand(target.gcc());
        let name = target.triple().unwrap_or("native");
        let prefix = kept(&format!("prefix-{name}"));
        fs::create_dir_all(kept("")).expect("a directory of the tests' own");
        // Other processes run other tests that use the library.
        let lock = File::create(kept(&format!("{name}.lock"))).expect("a lock file");
        flock(&lock, FlockOperation::LockExclusive).expect("the lock");
        let sources = fingerprint();
        let stamp = prefix.join("fingerprint");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == sources) {
            return Self { prefix };
        }
        // An interrupted installation must not look complete.
        let _ = fs::remove_file(&stamp);
        install(target, &prefix);
        fs::write(&stamp, sources).expect("a written stamp");
        Self { prefix }
    }

    pub(crate) fn include(&self) -> PathBuf {
        self.prefix.join("include")
    }

    pub(crate) fn lib(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// `libjlshim.a`.
    pub(crate) fn archive(&self) -> PathBuf {
        self.lib().join("libjlshim.a")
    }

    /// `libjlshim.so`.
    pub(crate) fn shared(&self) -> PathBuf {
        self.lib().join("libjlshim.so")
    }
}

fn install(target: Target, prefix: &Path) {
    let mut command = Command::new(workspace().join("runtime-shim/install"));
    command.arg(prefix).env("CARGO_TARGET_DIR", kept("target"));
    if let Some(triple) = target.triple() {
        let variable = triple.to_uppercase().replace('-', "_");
        command.arg(triple).env(format!("CARGO_TARGET_{variable}_LINKER"), target.gcc());
    }
    run(without_flags(&mut command));
}

/// Removes environment variables that would change the options of the compiler.
pub(crate) fn without_flags(command: &mut Command) -> &mut Command {
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CFLAGS", "LDFLAGS"]
    {
        command.env_remove(name);
    }
    command
}

/// A digest of the library's sources and of the compiler's version.
fn fingerprint() -> String {
    let root = workspace();
    let mut digest = Sha256::new();
    let mut add = |path: &Path| {
        digest.update(path.to_string_lossy().as_bytes());
        digest.update(fs::read(path).unwrap_or_default());
    };
    for name in ["Cargo.toml", "Cargo.lock", "runtime-shim/Cargo.toml", "runtime-shim/install"] {
        add(&root.join(name));
    }
    for name in ["runtime-shim/src", "runtime-shim/include", "runtime-shim/libjlshim"] {
        files(&root.join(name)).iter().for_each(|path| add(path));
    }
    digest.update(run(Command::new("rustc").arg("--version").arg("--verbose")));
    format!("{:x?}", digest.finalize())
}

/// All files below a directory, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
