//! `jlctl link`: programs that compilers made, linked, run, stripped and taken back; what is
//! refused.
//!
//! What is missing of compilers and emulators fails a test.

use super::reads::{self, Names};
use super::tools::{holds, install, succeeds, well_formed};
use crate::command::{Run, jlctl, root, run};
use crate::process::Process;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

/// What a program is built for, and by what it is looked at.
struct Machine {
    gcc: &'static [&'static str],
    clang: &'static [&'static str],
    strip: &'static str,
    target: Option<(&'static str, &'static str)>,
    emulator: &'static [&'static str],
}

const NATIVE: Machine =
    Machine { gcc: &["gcc"], clang: &["clang"], strip: "strip", target: None, emulator: &[] };
const ARM64: Machine = Machine {
    gcc: &["aarch64-linux-gnu-gcc"],
    clang: &["clang", "--target=aarch64-linux-gnu"],
    strip: "aarch64-linux-gnu-strip",
    target: Some(("aarch64-unknown-linux-gnu", "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER")),
    emulator: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
};
const UNLINKED: &str = "no runtime: 0 1\n";
const LINKED: &str = "runtime: 0 0, then 1 0\n";

struct Bench {
    directory: tempfile::TempDir,
    machine: Machine,
}

impl Bench {
    /// A directory with the library for `machine` in `lib`.
    fn with_library(machine: Machine) -> Self {
        let bench = Self::new(machine);
        let Machine { gcc, target, .. } = bench.machine;
        install(&bench.path("prefix"), target, gcc[0]);
        bench
    }

    fn new(machine: Machine) -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), machine }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Compiles a file below `tests/link` into `out`.
    fn compile(&self, compiler: &[&str], source: &str, out: &str, options: &[&str]) {
        let mut command = Command::new(compiler[0]);
        command.args(&compiler[1..]).args(["-O2", "-o"]).arg(self.path(out)).arg("-I");
        command.arg(root().join("runtime-shim/include"));
        command.arg(root().join("cli/tests/c").join(source)).args(options);
        succeeds(&mut command);
    }

    fn jlctl(&self, args: &[&str]) -> Run {
        run(jlctl(args).current_dir(self.directory.path()))
    }

    fn ok(&self, args: &[&str]) -> String {
        let run = self.jlctl(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
        run.stdout
    }

    /// Fails with `code` and `words`, and writes nothing.
    fn refused(&self, image: &str, code: i32, words: &[&str]) {
        let run = self.jlctl(&["link", image, "-o", "never", "--shim", "prefix/lib"]);
        assert_eq!(run.code, code, "{image}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
        }
        assert!(!self.path("never").exists(), "{image}");
    }

    /// The environment flips keys of a linked program, by the names of the note where it is
    /// stripped.
    fn flipped_at_start(&self, program: &str) {
        let mut command = self.command(program);
        command.env("JLSHIM_ENABLE", "off_key").env("JLSHIM_DISABLE", "on_key");
        let seen = run(command.arg("see"));
        assert_eq!((seen.stdout.as_str(), seen.stderr.as_str()), ("seen: 1 0\n", ""), "{program}");
    }

    /// Its keys are flipped by the control socket, by names that are in the link's note.
    fn flipped_by_socket(&self, program: &str) {
        let path = self.path("control");
        let mut command = self.command(program);
        let mut process = Process::start(command.arg("serve").env("JLSHIM_CONTROL", &path));
        assert_eq!(process.ask(""), "seen: 0 1", "{program}");
        let mut control = UnixStream::connect(&path).expect("it serves");
        control.write_all(b"enable off_key disable on_key\n").expect("it listens");
        let reply = BufReader::new(control).lines().nth(2).expect("three lines").expect("text");
        assert!(reply.starts_with("ok 2 strict "), "{program}: {reply}");
        assert_eq!(process.ask(""), "seen: 1 0", "{program}");
        if self.machine.emulator.is_empty() {
            let pid = process.pid();
            self.ok(&["ctl", &pid, "disable", "off_key"]);
            self.ok(&["ctl", &pid, "--ptrace", "enable", "on_key"]);
            assert_eq!(process.ask(""), "seen: 0 1", "{program}");
        }
        process.finish();
        assert!(!path.exists(), "{program}: the socket is removed");
    }

    fn reads(&self, program: &str, names: Names) {
        reads::reads(self.directory.path(), program, self.machine.target.is_some(), names);
    }

    /// What a program prints, which must succeed.
    fn prints(&self, program: &str, arguments: &[&str]) -> String {
        succeeds(self.command(program).args(arguments))
    }

    fn command(&self, program: &str) -> Command {
        let path = self.path(program);
        let mut command = match self.machine.emulator {
            [] => Command::new(&path),
            [emulator, options @ ..] => {
                let mut command = Command::new(emulator);
                command.args(options).arg(&path);
                command
            }
        };
        command.current_dir(self.directory.path());
        command
    }

    /// Links `name`, which must then run and be well formed, stripped by whatever, and give the
    /// file back.
    fn round_trip(&self, name: &str) {
        assert_eq!(self.prints(name, &[]), UNLINKED, "{name}");
        let report =
            self.ok(&["link", name, "-o", "linked", "--shim", "prefix/lib", "--format", "json"]);
        for word in ["\"schema\": \"jlctl.link/1\"", "\"sites\": 2", "\"named_keys\": 2"] {
            assert!(report.contains(word), "{name}: {report}");
        }
        assert_eq!(self.prints("linked", &[]), LINKED, "{name}");
        self.flipped_at_start("linked");
        self.well_formed(name, "linked");
        self.reads(name, Names::Kept);
        self.reads("linked", Names::Kept);
        for strip in [self.machine.strip, "llvm-strip-19", "eu-strip"] {
            fs::copy(self.path("linked"), self.path("stripped")).expect("a copy");
            succeeds(Command::new(strip).arg(self.path("stripped")));
            assert_eq!(self.prints("stripped", &[]), LINKED, "{name}, {strip}");
            self.flipped_at_start("stripped");
            self.flipped_by_socket("stripped");
            let bytes = fs::read(self.path("stripped")).expect("the program");
            assert!(holds(&bytes, b"off_key"), "{name}, {strip}: the names are gone");
            self.reads("stripped", Names::Kept);
            self.ok(&["link", "--remove", "stripped", "-o", "bare"]);
            assert_eq!(self.prints("bare", &[]), UNLINKED, "{name}, {strip}");
            self.reads("bare", Names::Stripped);
        }
        let report = self.ok(&["link", "--remove", "linked", "-o", "back", "--format", "json"]);
        assert!(report.contains("\"exact\": true"), "{report}");
        let read = |name| fs::read(self.path(name)).expect("a file");
        assert!(read("back") == read(name), "{name}: not the file that it was");
    }

    fn well_formed(&self, before: &str, after: &str) {
        well_formed(&self.path(before), &self.path(after));
    }
}

fn programs(machine: Machine) {
    let bench = Bench::with_library(machine);
    let gcc = bench.machine.gcc;
    for (name, compiler, options) in [
        ("pie", gcc, &["-pie", "-fPIE"][..]),
        ("fixed", gcc, &["-no-pie", "-fno-pie"]),
        ("without-id", gcc, &["-Wl,--build-id=none"]),
        ("packed", gcc, &["-Wl,-z,pack-relative-relocs"]),
        ("by-lld", bench.machine.clang, &["-fuse-ld=lld"]),
    ] {
        // GNU ld knows RELR for arm64 from 2.42 on alone.
        if name == "packed" && bench.machine.target.is_some() {
            let options = ["-fuse-ld=lld", "-Wl,-z,pack-relative-relocs"];
            bench.compile(bench.machine.clang, "program.c", name, &options);
        } else {
            bench.compile(compiler, "program.c", name, options);
        }
        bench.round_trip(name);
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
fn a_library_that_is_opened_later() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(&["gcc"], "library.c", "plugin.so", &["-fPIC", "-shared"]);
    bench.compile(&["gcc"], "host.c", "host", &[]);
    assert_eq!(bench.prints("host", &["./plugin.so"]), "no runtime: 0\n");
    let report = bench.ok(&["link", "plugin.so", "-o", "linked.so", "--shim", "prefix/lib"]);
    assert!(report.contains("never"), "{report}");
    bench.well_formed("plugin.so", "linked.so");
    let expected = "found again: 0\nenable: 0\nvalue: 1\nstays: 1\n";
    assert_eq!(bench.prints("host", &["./linked.so"]), expected);
    bench.ok(&["link", "--remove", "linked.so", "-o", "back.so"]);
    let read = |name| fs::read(bench.path(name)).expect("a file");
    assert!(read("back.so") == read("plugin.so"));
}

/// The library tells how many tables it has, and where the program is to look for it can be
/// said.
#[test]
fn the_report_and_the_search_path() {
    let bench = Bench::with_library(NATIVE);
    let options = ["-Wl,-rpath,/nowhere", "-Wl,--enable-new-dtags"];
    bench.compile(&["gcc"], "program.c", "program", &options);
    let runpath = ["--runpath", "$ORIGIN/prefix/lib", "--shim", "prefix/lib/libjlshim.so.0"];
    bench.ok(&[&["link", "program", "-o", "linked"][..], &runpath].concat());
    let program = bench.path("linked");
    let report = bench.path("report");
    succeeds(Command::new(&program).env("JLSHIM_REPORT", &report));
    let report = fs::read_to_string(report).expect("a report");
    for line in ["\"tables\": 1,", "\"sites\": 2,", "\"patches\": 2,", "\"uncovered\": 0,"] {
        assert!(report.contains(line), "{report}");
    }
    let read = succeeds(Command::new("readelf").args(["--dynamic", "--wide"]).arg(&program));
    assert!(read.contains("[/nowhere:$ORIGIN/prefix/lib]"), "{read}");
}

/// What the runtime's report counts of `program`, which runs with `preload`.
fn icache_counts(bench: &Bench, program: &str, preload: Option<&str>) -> [u64; 4] {
    let report = bench.path("report");
    let mut command = Command::new(bench.path(program));
    command.env("JLSHIM_REPORT", &report);
    if let Some(preload) = preload {
        command.env("LD_PRELOAD", bench.path(preload));
    }
    assert_eq!(succeeds(&mut command), "done\n");
    let report = fs::read_to_string(report).expect("a report");
    ["calls", "syncs", "shared", "failed"].map(|name| {
        let (_, rest) = report.split_once(&format!("\"icache_{name}\": ")).expect("a count");
        rest.split(',').next().expect("a number").parse().expect("a number")
    })
}

/// Every call of a program's `__clear_cache` is covered by a broadcast, its own or another
/// thread's, where the runtime is linked in or preloaded.
#[test]
fn clear_cache_synchronises() {
    let bench = Bench::with_library(NATIVE);
    let options = ["-pthread", "-shared-libgcc"];
    bench.compile(&["gcc"], "jit.c", "jit", &options);
    bench.refused("jit", 4, &["no jump table"]);
    bench.ok(&["link", "jit", "-o", "linked", "--sync-icache", "--shim", "prefix/lib"]);
    bench.well_formed("jit", "linked");
    for (program, preload) in [("linked", None), ("jit", Some("prefix/lib/libjlshim.so.0"))] {
        let [calls, syncs, shared, failed] = icache_counts(&bench, program, preload);
        assert_eq!((calls, syncs + shared, failed), (2000, 2000, 0), "{program}");
        assert!(syncs > 0, "{program}");
    }
    bench.ok(&["link", "--remove", "linked", "-o", "back"]);
    let read = |name| fs::read(bench.path(name)).expect("a file");
    assert!(read("back") == read("jit"));
    // A program with a function of its own calls that.
    bench.compile(&["gcc"], "jit.c", "own", &["-pthread", "-static-libgcc"]);
    let run = bench.jlctl(&["link", "own", "-o", "never", "--sync-icache", "--shim", "prefix/lib"]);
    assert_eq!((run.code, run.stderr.contains("of its own")), (4, true), "{}", run.stderr);
}

/// The same on arm64, where compilers call it.
#[test]
fn clear_cache_synchronises_on_arm64() {
    let bench = Bench::with_library(ARM64);
    bench.compile(bench.machine.gcc, "jit.c", "jit", &["-pthread", "-shared-libgcc"]);
    bench.ok(&["link", "jit", "-o", "linked", "--sync-icache", "--shim", "prefix/lib"]);
    let report = bench.path("report");
    // The emulator gives the program the environment that it has itself.
    let [emulator, options @ ..] = bench.machine.emulator else { panic!("no emulator") };
    let mut command = Command::new(emulator);
    command.args(options).arg(bench.path("linked")).env("JLSHIM_REPORT", &report);
    assert_eq!(succeeds(&mut command), "done\n");
    let report = fs::read_to_string(report).expect("a report");
    assert!(report.contains("\"icache_calls\": 2000,"), "{report}");
}

/// Keys that were flipped in a linked file stay flipped when the link is taken out.
#[test]
fn flips_in_the_file_outlive_the_link() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(&["gcc"], "program.c", "program", &[]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    bench.ok(&["plan", "linked", "--disable", "on_key", "-o", "plan"]);
    bench.ok(&["apply", "plan", "linked", "-o", "flipped"]);
    bench.ok(&["link", "--remove", "flipped", "-o", "back"]);
    assert_eq!(bench.prints("back", &[]), "no runtime: 0 0\n");
}

#[test]
fn what_is_refused() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(&["gcc"], "program.c", "program", &[]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    bench.refused("linked", 4, &["already linked", "--remove"]);
    bench.compile(&["gcc"], "host.c", "host", &[]);
    bench.refused("host", 4, &["no jump table"]);
    let archive = bench.path("prefix/lib/libjlshim.a");
    let archive = ["-UJLSHIM_LATER", "-DJLSHIM_NOW", archive.to_str().expect("UTF-8")];
    fs::write(bench.path("now.c"), "#include <jlctl/jump_label.h>\nstatic DEFINE_STATIC_KEY_FALSE(key);\nint main(void)\n{\n\treturn static_branch_unlikely(&key) ? 1 : 0;\n}\n")
        .expect("a file");
    bench.compile(&["gcc"], bench.path("now.c").to_str().expect("UTF-8"), "now", &archive);
    bench.refused("now", 4, &["already linked"]);
    succeeds(Command::new("strip").arg(bench.path("now")));
    bench.refused("now", 4, &["already linked"]);
    bench.compile(&["riscv64-linux-gnu-gcc"], "program.c", "other", &[]);
    bench.refused("other", 3, &["e_machine"]);
    fs::write(bench.path("text"), "no program").expect("a file");
    bench.refused("text", 3, &["no ELF file"]);
    let run = bench.jlctl(&["link", "program", "-o", "program", "--shim", "prefix/lib"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    let run = bench.jlctl(&["link", "program", "-o", "never", "--shim", "nowhere"]);
    assert_eq!((run.code, run.stderr.contains("nowhere")), (4, true), "{}", run.stderr);
    let run = bench.jlctl(&["link", "program", "-o", "never", "--shim", "program"]);
    assert_eq!((run.code, run.stderr.contains("DT_SONAME")), (4, true), "{}", run.stderr);
    let run = bench.jlctl(&["link", "--remove", "program", "-o", "never"]);
    assert_eq!((run.code, run.stderr.contains("no note")), (4, true), "{}", run.stderr);
    let run = bench.jlctl(&["link", "program", "--shim", "prefix/lib"]);
    assert_eq!((run.code, run.stderr.contains("-o OUT")), (2, true), "{}", run.stderr);
}

/// Programs of the crate static-keys are read and flipped in the file, and not linked.
#[test]
fn tables_of_static_keys() {
    for machine in [NATIVE, ARM64] {
        let bench = Bench::new(machine);
        for options in [&["-no-pie", "-fno-pie"][..], &["-pie", "-fPIE"]] {
            bench.compile(bench.machine.gcc, "static_keys.c", "program", options);
            bench.prints("program", &[]);
            let json = bench.ok(&["inspect", "program", "--format", "json"]);
            for part in ["\"layout\":\"static-keys\"", "\"nop\":2", "\"jmp\":1", "\"keys\":2"] {
                assert!(json.contains(part), "{part}: {json}");
            }
            let keys = bench.ok(&["inspect", "program", "--keys"]);
            let state = |name: &str| {
                let line = keys.lines().find(|line| line.ends_with(name)).expect("the key");
                line.split_whitespace().nth(2).expect("its state").to_owned()
            };
            assert_eq!((state("on_key"), state("off_key")), ("on".into(), "off".into()), "{keys}");
            bench.refused("program", 4, &["crate static-keys"]);
            bench.ok(&["plan", "program", "--disable", "on_key", "-o", "plan"]);
            bench.ok(&["apply", "plan", "program", "-o", "flipped"]);
            // It ends with 0 where every site goes on as its key was defined.
            assert_eq!(run(&mut bench.command("flipped")).code, 1);
        }
    }
}

/// Structures that are not where they should be, or that something follows.
#[test]
fn damage_is_refused() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(&["gcc"], "program.c", "program", &[]);
    let whole = fs::read(bench.path("program")).expect("the program");
    let word = |at: usize| {
        usize::try_from(u64::from_le_bytes(whole[at..at + 8].try_into().expect("8 bytes")))
            .expect("an offset")
    };
    let with = |name: &str, at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(bench.path(name), copy).expect("a file");
    };
    let headers = usize::from(u16::from_le_bytes([whole[56], whole[57]]));
    let segment = |kind: u32| {
        (0..headers)
            .map(|index| 64 + index * 56)
            .find(|at| whole[*at..at + 4] == kind.to_le_bytes())
    };
    let dynamic = segment(2).expect("PT_DYNAMIC");
    let entries = word(dynamic + 8);
    with("unending", entries, &[1; 480]);
    bench.refused("unending", 3, &["dynamic section is damaged"]);
    with("elsewhere", dynamic + 16, &[0xff; 6]);
    bench.refused("elsewhere", 3, &["damaged"]);
    let strings = (0..30).map(|index| entries + index * 16).find(|at| word(*at) == 5);
    with("strings", strings.expect("DT_STRTAB") + 8, &[0xff; 6]);
    bench.refused("strings", 3, &["no", "bytes of strings"]);
    // A note that is said to be code cannot be moved out of the way.
    let note = word(40) + 2 * 64 + 4;
    assert_eq!(whole[note], 7, "SHT_NOTE");
    with("no-room", note, &[1]);
    bench.refused("no-room", 4, &["no room for 2 more program headers", ".note"]);
    let mut longer = whole.clone();
    longer.extend([b'x'; 100]);
    fs::write(bench.path("longer"), longer).expect("a file");
    bench.refused("longer", 4, &["100 bytes follow"]);
    // A signature as modules have it: its bytes, what they are, their length, and the marker
    // (`include/linux/module_signature.h`, Linux 6.12).
    let mut signed = whole.clone();
    signed.extend([0x30; 16].into_iter().chain([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 16]));
    signed.extend(b"~Module signature appended~\n");
    fs::write(bench.path("signed"), signed).expect("a file");
    bench.refused("signed", 4, &["a signature is appended", "link before that is done"]);
    fs::write(bench.path("shorter"), &whole[..whole.len() / 2]).expect("a file");
    bench.refused("shorter", 3, &["not within the file"]);
}

/// Whatever single bytes of the headers and the dynamic section say, it ends with one of its
/// exit codes, and what it writes is given back.
#[test]
fn no_byte_makes_it_fail_otherwise() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(&["gcc"], "program.c", "program", &["-Wl,-z,noseparate-code"]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    for (name, args) in [
        ("program", &["link", "changed", "-o", "out", "--shim", "prefix/lib"][..]),
        ("linked", &["link", "--remove", "changed", "-o", "out"]),
    ] {
        let whole = fs::read(bench.path(name)).expect("the program");
        let offset = u64::from_le_bytes(whole[40..48].try_into().expect("8 bytes"));
        let sections = usize::try_from(offset).expect("an offset");
        let places = (16..64 + 15 * 56).step_by(7).chain((sections..whole.len()).step_by(61));
        for at in places {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            fs::write(bench.path("changed"), changed).expect("a file");
            let run = bench.jlctl(args);
            assert!([0, 3, 4].contains(&run.code), "{name}, byte {at}: {run:?}");
        }
    }
}
