//! Programs in Rust, built by cargo as separate projects that depend on the shim by path.

use crate::compile::is_by_lld;
use crate::library::without_flags;
use crate::tools::{fixture, kept, run, workspace};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Profiles in addition to cargo's own two.
const PROFILES: &str = "\n[profile.fat]\ninherits = \"release\"\nlto = \"fat\"\ncodegen-units = 1\n\
    \n[profile.abort]\ninherits = \"release\"\npanic = \"abort\"\ncodegen-units = 16\n";

/// A crate of a project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crate<'a> {
    pub(crate) name: &'a str,
    /// Its only source file.
    pub(crate) source: &'a Path,
    /// `bin`, `lib`, `cdylib`, `dylib`.
    pub(crate) kind: &'a str,
    /// The crates of the project that it depends on.
    pub(crate) uses: &'a [&'a str],
}

/// How a project is built.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    pub(crate) profile: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) rustflags: &'a [&'a str],
    pub(crate) features: Option<&'a str>,
}

/// A project in a persistent directory, so that cargo builds it once.
#[derive(Debug)]
pub(crate) struct Project {
    directory: PathBuf,
}

impl Project {
    /// Writes the manifests of `crates`, under a name that no other test uses.
    pub(crate) fn new(name: &str, crates: &[Crate<'_>]) -> Self {
        let directory = kept("rust").join(name);
        let members: Vec<&str> = crates.iter().map(|member| member.name).collect();
        let root = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n{PROFILES}");
        write(&directory.join("Cargo.toml"), &root);
        for member in crates {
            write(&directory.join(member.name).join("Cargo.toml"), &manifest(member));
        }
        // The versions of this workspace, which are available without a network.
        let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("a lock file");
        fs::write(directory.join("Cargo.lock"), lock).expect("a written lock file");
        Self { directory }
    }

    /// Builds everything; returns the directory of the results.
    pub(crate) fn build(&self, options: Options<'_>) -> PathBuf {
        let mut command = Command::new(env!("CARGO"));
        without_flags(&mut command).current_dir(&self.directory);
        command.args(["build", "--offline", "--workspace", "--profile", options.profile]);
        command.args(options.target.iter().flat_map(|target| ["--target", target]));
        command.args(options.features.iter().flat_map(|features| ["--features", features]));
        let target = self.directory.join("target");
        command.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", options.rustflags.join(" "));
        command.env_remove("CARGO_BUILD_RUSTFLAGS");
        run(&mut command);
        let profile = if options.profile == "dev" { "debug" } else { options.profile };
        target.join(options.target.unwrap_or_default()).join(profile)
    }
}

fn manifest(member: &Crate<'_>) -> String {
    let Crate { name, source, kind, uses } = *member;
    let target = match kind {
        "bin" => format!("[[bin]]\nname = {name:?}"),
        kind => format!("[lib]\ncrate-type = [{kind:?}]"),
    };
    let shim = workspace().join("runtime-shim");
    let mut text = format!(
        "[package]\nname = {name:?}\nedition = \"2024\"\n\n{target}\npath = {source:?}\n\n\
         [features]\nsecond = []\n\n[dependencies]\njlctl-shim = {{ path = {shim:?} }}\n"
    );
    for used in uses {
        writeln!(text, "{used} = {{ path = \"../{used}\" }}")
            .expect("writing to a String cannot fail");
    }
    text
}

/// Writes a file unless it has this content: cargo rebuilds after a new modification time.
fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file in a directory")).expect("a directory");
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return;
    }
    fs::write(path, text).expect("a written manifest");
}

/// A fixture below `rust/`.
pub(crate) fn source(name: &str) -> PathBuf {
    fixture("rust").join(name)
}

/// Checks that the requested linker linked `path`.
pub(crate) fn check_linker(path: &Path, is_lld: bool) {
    assert_eq!(is_by_lld(path), is_lld, "{}", path.display());
}
