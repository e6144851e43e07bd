//! `jlctl link` of static programs, which have the runtime in themselves then.
//!
//! What is missing of compilers and emulators fails a test.

use super::reads::{self, Names};
use super::tools::{holds, install, succeeds, well_formed};
use crate::command::{Run, jlctl, root, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What a program is built for.
struct Machine {
    gcc: &'static str,
    clang: &'static [&'static str],
    strip: &'static str,
    target: Option<(&'static str, &'static str)>,
    emulator: Option<&'static str>,
}

const NATIVE: Machine =
    Machine { gcc: "gcc", clang: &["clang"], strip: "strip", target: None, emulator: None };
const ARM64: Machine = Machine {
    gcc: "aarch64-linux-gnu-gcc",
    clang: &["clang", "--target=aarch64-linux-gnu"],
    strip: "aarch64-linux-gnu-strip",
    target: Some(("aarch64-unknown-linux-gnu", "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER")),
    emulator: Some("qemu-aarch64"),
};

struct Bench {
    directory: tempfile::TempDir,
    machine: Machine,
}

impl Bench {
    fn new(machine: Machine) -> Self {
        let bench = Self { directory: tempfile::tempdir().expect("a directory"), machine };
        let Machine { gcc, target, .. } = bench.machine;
        install(&bench.path("prefix"), target, gcc);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn compile(&self, compiler: &[&str], out: &str, options: &[&str]) {
        let (program, first) = compiler.split_first().expect("a compiler");
        let mut command = Command::new(program);
        command.args(first).args(["-O2", "-Wall", "-Werror", "-I"]);
        command.arg(root().join("runtime-shim/include")).args(options);
        command.arg(root().join("cli/tests/c/static.c")).arg("-o").arg(self.path(out));
        succeeds(&mut command);
    }

    fn jlctl(&self, args: &[&str]) -> Run {
        run(jlctl(args).current_dir(self.directory.path()))
    }

    fn ok(&self, args: &[&str]) -> String {
        let run = self.jlctl(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}: {}", run.stdout);
        run.stdout
    }

    /// What a program prints and tells, with variables in its environment.
    fn run(&self, program: &str, variables: &[(&str, &str)]) -> (String, String) {
        let path = self.path(program);
        let mut command = match self.machine.emulator {
            None => Command::new(&path),
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg(&path);
                command
            }
        };
        command.args(["one", "two"]).env("SAID", "something").envs(variables.iter().copied());
        let run = run(&mut command);
        assert_eq!(run.code, 0, "{program}: {run:?}");
        (run.stdout, run.stderr)
    }

    fn sees(&self, program: &str, variables: &[(&str, &str)], values: &str) {
        let said = format!("seen: {values}, 2 arguments, something, x\n");
        assert_eq!(self.run(program, variables), (said, String::new()), "{program}");
    }

    fn round_trip(&self, name: &str, strips: &[&str]) {
        const FLIP: [(&str, &str); 2] =
            [("JLSHIM_ENABLE", "off_key"), ("JLSHIM_DISABLE", "on_key")];
        self.sees(name, &FLIP, "0 1");
        let report = self.ok(&["link", name, "-o", "linked", "--shim", "prefix/lib"]);
        assert!(report.contains("2 sites of 2 keys, 2 of them named"), "{name}: {report}");
        self.sees("linked", &[], "0 1");
        self.sees("linked", &FLIP, "1 0");
        let path = self.path("report");
        let variables =
            [FLIP[0], ("JLSHIM_DISABLE", "gone"), ("JLSHIM_REPORT", path.to_str().expect("UTF-8"))];
        let (said, told) = self.run("linked", &variables);
        assert!(said.starts_with("seen: 1 1,"), "{name}: {said}");
        assert_eq!(told, "jlshim: JLSHIM_DISABLE: gone: no key is called so\n", "{name}");
        let report = fs::read_to_string(&path).expect("a report");
        for line in ["\"tables\": 1,", "\"sites\": 2,", "\"patches\": 1,", "\"uncovered\": 0,"] {
            assert!(report.contains(line), "{name}: {report}");
        }
        let read = well_formed(&self.path(name), &self.path("linked"));
        assert!(!read.contains(" RWE "), "{name}: no segment is writable and executable");
        let is_arm64 = self.machine.target.is_some();
        let reads = |name, names| reads::reads(self.directory.path(), name, is_arm64, names);
        reads(name, Names::Kept);
        reads("linked", Names::Kept);
        for strip in strips {
            fs::copy(self.path("linked"), self.path("stripped")).expect("a copy");
            succeeds(Command::new(strip).arg(self.path("stripped")));
            self.sees("stripped", &FLIP, "1 0");
            self.ok(&["link", "--remove", "stripped", "-o", "bare"]);
            self.sees("bare", &FLIP, "0 1");
            reads("stripped", Names::Kept);
            // eu-strip leaves the symbol table of some.
            let is_bare = !holds(&fs::read(self.path("bare")).expect("a file"), b".symtab");
            reads("bare", if is_bare { Names::Stripped } else { Names::Kept });
        }
        let again = self.jlctl(&["link", "linked", "-o", "never", "--shim", "prefix/lib"]);
        assert_eq!((again.code, again.stderr.contains("already linked")), (4, true), "{again:?}");
        self.ok(&["link", "--remove", "linked", "-o", "back"]);
        let read = |name| fs::read(self.path(name)).expect("a file");
        assert!(read("back") == read(name), "{name}: not the file that it was");
    }
}

fn programs(machine: Machine) {
    let bench = Bench::new(machine);
    let (gcc, strip) = (bench.machine.gcc, bench.machine.strip);
    for (name, compiler, options) in [
        ("fixed", &[gcc][..], &["-static"][..]),
        ("pie", &[gcc], &["-static-pie"]),
        ("collected", &[gcc], &["-static", "-ffunction-sections", "-Wl,--gc-sections"]),
        ("by-lld", bench.machine.clang, &["-static", "-fuse-ld=lld"]),
    ] {
        bench.compile(compiler, name, options);
        // llvm-strip refuses static programs of GNU ld, linked or not.
        bench.round_trip(name, &[strip, "eu-strip"]);
    }
}

#[test]
fn programs_of_this_machine() {
    programs(NATIVE);
}

#[test]
fn programs_of_arm64() {
    programs(ARM64);
}

#[test]
fn what_is_refused() {
    let bench = Bench::new(NATIVE);
    bench.compile(&["gcc"], "program", &["-static"]);
    let refused = |args: &[&str], word: &str| {
        let all = [&["link", "program", "-o", "never"], args].concat();
        let run = bench.jlctl(&all);
        assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{args:?}: {run:?}");
        assert!(run.stderr.contains(word), "{args:?}: {}", run.stderr);
        assert!(!bench.path("never").exists(), "{args:?}");
    };
    refused(&["--shim", "prefix/lib", "--sync-icache"], "a static program");
    refused(&["--shim", "prefix/lib", "--runpath", "/lib"], "leave --runpath out");
    refused(&["--shim", "nowhere"], "nowhere");
    refused(&["--shim", "prefix/lib/libjlshim.so.0"], "expected the symbol jlshim_embedded_config");
    refused(&["--shim", "program"], "expected the symbol");
    // Without notes there is no room for a program header.
    bench.compile(&["gcc"], "full", &["-static", "-Wl,--build-id=none"]);
    let strip = ["--remove-section", ".note.gnu.property", "--remove-section", ".note.ABI-tag"];
    succeeds(Command::new("objcopy").args(strip).arg(bench.path("full")));
    let run = bench.jlctl(&["link", "full", "-o", "never", "--shim", "prefix/lib"]);
    assert_eq!((run.code, run.stderr.contains("no room for 1 more")), (4, true), "{run:?}");
    // A program that wants a control socket is told that it has none.
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    let path = bench.path("control");
    let (_, told) = bench.run("linked", &[("JLSHIM_CONTROL", path.to_str().expect("UTF-8"))]);
    assert!(told.contains("cannot start a thread: ENOTSUP"), "{told}");
    assert!(!path.exists());
}

/// Whatever byte of the runtime's image is another, nothing panics and nothing is half written.
#[test]
fn damage_of_the_image_is_refused() {
    let bench = Bench::new(NATIVE);
    bench.compile(&["gcc"], "program", &["-static"]);
    let whole = fs::read(bench.path("prefix/lib/jlshim-embedded.so")).expect("the image");
    for (at, value) in (0..64).chain((64..2048).step_by(37)).map(|at| (at, 0xff)) {
        let mut bytes = whole.clone();
        bytes[at] ^= value;
        fs::write(bench.path("damaged.so"), &bytes).expect("a file");
        let run = bench.jlctl(&["link", "program", "-o", "out", "--shim", "damaged.so"]);
        assert!([0, 3, 4].contains(&run.code), "{at}: {run:?}");
    }
    fs::write(bench.path("damaged.so"), &whole[..whole.len() / 2]).expect("a file");
    let run = bench.jlctl(&["link", "program", "-o", "never", "--shim", "damaged.so"]);
    assert_eq!(run.code, 4, "{run:?}");
}
