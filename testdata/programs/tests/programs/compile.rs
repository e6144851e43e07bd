//! Compiles fixtures in C and C++.

use crate::library::{Library, without_flags};
use crate::tools::{demand, fixture, output, text};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler and its language standard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compiler {
    pub(crate) program: &'static str,
    /// The standard, and the language if files of C are compiled as C++.
    standard: &'static [&'static str],
}

pub(crate) const GCC: Compiler = Compiler { program: "gcc", standard: &["-std=c11"] };
pub(crate) const CLANG: Compiler = Compiler { program: "clang", standard: &["-std=c11"] };
pub(crate) const GXX: Compiler =
    Compiler { program: "g++", standard: &["-std=c++17", "-x", "c++"] };
pub(crate) const CLANGXX: Compiler =
    Compiler { program: "clang++", standard: &["-std=c++17", "-x", "c++"] };
pub(crate) const GCC_AARCH64: Compiler =
    Compiler { program: "aarch64-linux-gnu-gcc", standard: &["-std=c11"] };
pub(crate) const GCC_RISCV64: Compiler =
    Compiler { program: "riscv64-linux-gnu-gcc", standard: &["-std=c11"] };
pub(crate) const CLANG_AARCH64: Compiler =
    Compiler { program: "clang", standard: &["-std=c11", "--target=aarch64-linux-gnu"] };
pub(crate) const CLANG_RISCV64: Compiler =
    Compiler { program: "clang", standard: &["-std=c11", "--target=riscv64-linux-gnu"] };

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

impl Compiler {
    pub(crate) fn is_clang(self) -> bool {
        self.program.starts_with("clang")
    }

    /// A command with the standard and all warnings, which finds the header of `library`.
    pub(crate) fn command(self, library: &Library) -> Command {
        let mut command = Command::new(self.program);
        without_flags(&mut command).args(WARNINGS).arg("-I").arg(library.include());
        command.args(self.standard);
        command
    }
}

/// The sources and options of a build.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    pub(crate) compiler: Compiler,
    pub(crate) options: Vec<&'a str>,
    pub(crate) sources: &'a [&'a str],
    /// The libraries, which follow the sources.
    pub(crate) libraries: Vec<OsString>,
}

impl<'a> Build<'a> {
    /// Fixtures below `c/`, linked with the archive.
    pub(crate) fn new(compiler: Compiler, library: &Library, sources: &'a [&'a str]) -> Self {
        let libraries = vec![library.archive().into()];
        Self { compiler, options: Vec::new(), sources, libraries }
    }

    pub(crate) fn options(mut self, options: &[&'a str]) -> Self {
        self.options.extend(options);
        self
    }

    /// Links with the shared library instead, and records its path.
    pub(crate) fn shared(mut self, library: &Library) -> Self {
        let mut rpath = OsString::from("-Wl,-rpath,");
        rpath.push(library.lib());
        self.libraries = vec![library.shared().into(), rpath];
        self
    }

    /// Compiles and links into `directory`.
    pub(crate) fn program(&self, library: &Library, directory: &Path, name: &str) -> PathBuf {
        if self.options.contains(&"-fuse-ld=lld") {
            demand("ld.lld");
        }
        let program = directory.join(name);
        let mut command = self.compiler.command(library);
        command.args(self.sources.iter().map(|name| fixture("c").join(name)));
        // The language option must not apply to libraries.
        command.args(["-x", "none"]).args(&self.options).args(&self.libraries);
        compile(command.arg("-o").arg(&program));
        assert_eq!(is_by_lld(&program), self.options.contains(&"-fuse-ld=lld"), "{command:?}");
        program
    }
}

/// Runs a compiler, which must succeed.
pub(crate) fn compile(command: &mut Command) {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

/// Whether lld linked a file, by its `.comment` section.
pub(crate) fn is_by_lld(path: &Path) -> bool {
    let bytes = fs::read(path).expect("a linked file");
    let file = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    let comment = file.section_by_name(".comment").and_then(|section| section.data().ok());
    comment.is_some_and(|comment| text(comment).contains("LLD "))
}

/// The errors of the compiler for a source that must not compile.
pub(crate) fn refusal(compiler: Compiler, library: &Library, source: &Path) -> String {
    let mut command = compiler.command(library);
    let output = output(command.args(["-O2", "-S", "-o", "/dev/null"]).arg(source));
    assert!(!output.status.success(), "{command:?} compiled it");
    text(&output.stderr)
}
