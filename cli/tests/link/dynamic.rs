//! `jlctl link` of dynamic programs and libraries: linked, run, stripped and taken back; what is
//! refused.

use super::bench::{ARM64, Bench, Machine, NATIVE, Names, holds, succeeds};
use crate::command::{run, utf8};
use crate::process::Process;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

const UNLINKED: &str = "no runtime: 0 1\n";
const LINKED: &str = "runtime: 0 0, then 1 0\n";

/// Asserts that the environment flips the keys of a linked program, by the names of the link's
/// note where the program is stripped.
fn flipped_at_start(bench: &Bench, program: &str) {
    let mut command = bench.command(program);
    command.env("JLSHIM_ENABLE", "off_key").env("JLSHIM_DISABLE", "on_key");
    let seen = run(command.arg("see"));
    assert_eq!((seen.stdout.as_str(), seen.stderr.as_str()), ("seen: 1 0\n", ""), "{program}");
}

/// Asserts that the control socket of a linked program flips its keys, by the names of the link's
/// note.
fn flipped_by_socket(bench: &Bench, program: &str) {
    let path = bench.path("control");
    let mut command = bench.command(program);
    let mut process = Process::start(command.arg("serve").env("JLSHIM_CONTROL", &path));
    assert_eq!(process.ask(""), "seen: 0 1", "{program}");
    let mut control = UnixStream::connect(&path).expect("the process serves");
    control.write_all(b"enable off_key disable on_key\n").expect("the process listens");
    let reply = BufReader::new(control).lines().nth(2).expect("three lines").expect("text");
    assert!(reply.starts_with("ok 2 strict "), "{program}: {reply}");
    assert_eq!(process.ask(""), "seen: 1 0", "{program}");
    if bench.machine.emulator.is_empty() {
        let pid = process.pid();
        bench.ok(&["ctl", &pid, "disable", "off_key"]);
        bench.ok(&["ctl", &pid, "--ptrace", "enable", "on_key"]);
        assert_eq!(process.ask(""), "seen: 0 1", "{program}");
    }
    process.finish();
    assert!(!path.exists(), "{program}: the socket is removed");
}

/// Links `name`.  The linked program must run and be well formed, also when it is stripped by any
/// of the usual tools, and must give back the original file.
fn round_trip(bench: &Bench, name: &str) {
    assert_eq!(bench.prints(name, &[]), UNLINKED, "{name}");
    let report =
        bench.ok(&["link", name, "-o", "linked", "--shim", "prefix/lib", "--format", "json"]);
    for word in ["\"schema\": \"jlctl.link/1\"", "\"sites\": 2", "\"named_keys\": 2"] {
        assert!(report.contains(word), "{name}: {report}");
    }
    assert_eq!(bench.prints("linked", &[]), LINKED, "{name}");
    flipped_at_start(bench, "linked");
    bench.well_formed(name, "linked");
    bench.has_two_keys(name, Names::Kept);
    bench.has_two_keys("linked", Names::Kept);
    for strip in [bench.machine.strip, "llvm-strip-19", "eu-strip"] {
        fs::copy(bench.path("linked"), bench.path("stripped")).expect("a copy");
        succeeds(Command::new(strip).arg(bench.path("stripped")));
        assert_eq!(bench.prints("stripped", &[]), LINKED, "{name}, {strip}");
        flipped_at_start(bench, "stripped");
        flipped_by_socket(bench, "stripped");
        let bytes = fs::read(bench.path("stripped")).expect("the program");
        assert!(holds(&bytes, b"off_key"), "{name}, {strip}: the names are gone");
        bench.has_two_keys("stripped", Names::Kept);
        bench.ok(&["link", "--remove", "stripped", "-o", "bare"]);
        assert_eq!(bench.prints("bare", &[]), UNLINKED, "{name}, {strip}");
        bench.has_two_keys("bare", Names::Stripped);
    }
    let report = bench.ok(&["link", "--remove", "linked", "-o", "back", "--format", "json"]);
    assert!(report.contains("\"exact\": true"), "{report}");
    assert!(bench.read("back") == bench.read(name), "{name}: not the file that it was");
}

fn programs(machine: Machine) {
    let bench = Bench::with_library(machine);
    let cc = bench.machine.cc;
    for (name, compiler, options) in [
        ("pie", cc, &["-pie", "-fPIE"][..]),
        ("fixed", cc, &["-no-pie", "-fno-pie"]),
        ("without-id", cc, &["-Wl,--build-id=none"]),
        ("packed", cc, &["-Wl,-z,pack-relative-relocs"]),
        ("by-lld", bench.machine.clang, &["-fuse-ld=lld"]),
    ] {
        // GNU ld supports RELR for arm64 since 2.42.
        if name == "packed" && bench.machine.target.is_some() {
            let options = ["-fuse-ld=lld", "-Wl,-z,pack-relative-relocs"];
            bench.compile(bench.machine.clang, "program.c", name, &options);
        } else {
            bench.compile(compiler, "program.c", name, options);
        }
        round_trip(&bench, name);
    }
}

#[test]
#[cfg_attr(
    not(feature = "tools"),
    ignore = "needs clang, lld, binutils, elfutils and llvm-strip-19: testdata/check runs it"
)]
fn native_programs_are_linked_and_taken_back() {
    programs(NATIVE);
}

#[test]
#[cfg_attr(
    not(all(feature = "tools", feature = "emulation")),
    ignore = "needs clang, lld, binutils, elfutils, llvm-strip-19 and qemu-aarch64: \
              testdata/check runs it"
)]
fn arm64_programs_are_linked_and_taken_back() {
    programs(ARM64);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs readelf and eu-elflint: testdata/check runs it")]
fn a_library_is_linked_and_opened_while_the_program_runs() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(bench.machine.cc, "library.c", "plugin.so", &["-fPIC", "-shared"]);
    bench.compile(bench.machine.cc, "host.c", "host", &[]);
    assert_eq!(bench.prints("host", &["./plugin.so"]), "no runtime: 0\n");
    let report = bench.ok(&["link", "plugin.so", "-o", "linked.so", "--shim", "prefix/lib"]);
    assert!(report.contains("never"), "{report}");
    bench.well_formed("plugin.so", "linked.so");
    let expected = "found again: 0\nenable: 0\nvalue: 1\nstays: 1\n";
    assert_eq!(bench.prints("host", &["./linked.so"]), expected);
    bench.gives_back("linked.so", "plugin.so");
}

/// The runtime reports one table, and `--runpath` adds to the program's search path.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs readelf: testdata/check runs it")]
fn the_runtime_reports_the_table_and_is_found_by_the_run_path() {
    let bench = Bench::with_library(NATIVE);
    let options = ["-Wl,-rpath,/nowhere", "-Wl,--enable-new-dtags"];
    bench.compile(bench.machine.cc, "program.c", "program", &options);
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

/// The counts of `__clear_cache` in the runtime's report on `program`, which runs with `preload`:
/// calls, broadcasts, calls covered by the broadcast of another thread, failures.
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
#[cfg_attr(
    not(feature = "tools"),
    ignore = "needs GCC, readelf and eu-elflint: testdata/check runs it"
)]
fn clear_cache_synchronises() {
    let bench = Bench::with_library(NATIVE);
    let options = ["-pthread", "-shared-libgcc"];
    bench.compile(bench.machine.cc, "jit.c", "jit", &options);
    bench.refused(&["jit", "--shim", "prefix/lib"], 4, &["no jump table"]);
    bench.ok(&["link", "jit", "-o", "linked", "--sync-icache", "--shim", "prefix/lib"]);
    bench.well_formed("jit", "linked");
    for (program, preload) in [("linked", None), ("jit", Some("prefix/lib/libjlshim.so.0"))] {
        let [calls, syncs, shared, failed] = icache_counts(&bench, program, preload);
        assert_eq!((calls, syncs + shared, failed), (2000, 2000, 0), "{program}");
        assert!(syncs > 0, "{program}");
    }
    bench.gives_back("linked", "jit");
    // A program that contains the function calls its own.
    bench.compile(bench.machine.cc, "jit.c", "own", &["-pthread", "-static-libgcc"]);
    bench.refused(&["own", "--sync-icache", "--shim", "prefix/lib"], 4, &["of its own"]);
}

/// The same on arm64, where compilers call the function.
#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs aarch64-linux-gnu-gcc and qemu-aarch64: testdata/check runs it"
)]
fn clear_cache_synchronises_on_arm64() {
    let bench = Bench::with_library(ARM64);
    bench.compile(bench.machine.cc, "jit.c", "jit", &["-pthread", "-shared-libgcc"]);
    bench.ok(&["link", "jit", "-o", "linked", "--sync-icache", "--shim", "prefix/lib"]);
    let report = bench.path("report");
    let mut command = bench.command("linked");
    command.env("JLSHIM_REPORT", &report);
    assert_eq!(succeeds(&mut command), "done\n");
    let report = fs::read_to_string(report).expect("a report");
    assert!(report.contains("\"icache_calls\": 2000,"), "{report}");
}

/// Keys that were flipped in a linked file stay flipped when the link is taken out.
#[test]
fn flips_in_the_file_outlive_the_link() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(bench.machine.cc, "program.c", "program", &[]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    bench.ok(&["plan", "linked", "--disable", "on_key", "-o", "plan"]);
    bench.ok(&["apply", "plan", "linked", "-o", "flipped"]);
    bench.ok(&["link", "--remove", "flipped", "-o", "back"]);
    assert_eq!(bench.prints("back", &[]), "no runtime: 0 0\n");
}

#[test]
fn refusals_write_no_file() {
    let bench = Bench::with_library(NATIVE);
    let refused = |image: &str, code, words: &[&str]| {
        bench.refused(&[image, "--shim", "prefix/lib"], code, words);
    };
    bench.compile(bench.machine.cc, "program.c", "program", &[]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    refused("linked", 4, &["already linked", "--remove"]);
    bench.compile(bench.machine.cc, "host.c", "host", &[]);
    refused("host", 4, &["no jump table"]);
    // EM_RISCV, in a field of two bytes.
    let mut other = bench.read("program");
    other[18..20].copy_from_slice(&[243, 0]);
    bench.directory.write("other", other);
    refused("other", 3, &["e_machine"]);
    bench.directory.write("text", "no program");
    refused("text", 3, &["no ELF file"]);
    let run = bench.jlctl(&["link", "program", "-o", "program", "--shim", "prefix/lib"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    bench.refused(&["program", "--shim", "nowhere"], 4, &["nowhere"]);
    bench.refused(&["program", "--shim", "program"], 4, &["DT_SONAME"]);
    bench.refused(&["--remove", "program"], 4, &["did not link"]);
    let run = bench.jlctl(&["link", "program", "--shim", "prefix/lib"]);
    run.fails(2, &["-o OUT"]);
}

#[test]
fn a_program_that_contains_the_runtime_is_refused() {
    let bench = Bench::with_library(NATIVE);
    let archive = bench.path("prefix/lib/libjlshim.a");
    let now = ["-UJLSHIM_LATER", "-DJLSHIM_NOW", utf8(&archive)];
    let source = "#include <jlctl/jump_label.h>\n\
                  static DEFINE_STATIC_KEY_FALSE(key);\n\
                  int main(void)\n\
                  {\n\treturn static_branch_unlikely(&key) ? 1 : 0;\n}\n";
    let source = bench.directory.write("now.c", source);
    for options in [&now[..], &[&now[..], &["-s"]].concat()] {
        bench.compile(bench.machine.cc, utf8(&source), "now", options);
        bench.refused(&["now", "--shim", "prefix/lib"], 4, &["already linked"]);
    }
}

/// Reads, flips in the file and refuses to link a program with the tables of the crate
/// static-keys.
fn tables_of_static_keys(machine: Machine) {
    let bench = Bench::new(machine);
    for options in [&["-no-pie", "-fno-pie"][..], &["-pie", "-fPIE"]] {
        bench.compile(bench.machine.cc, "static_keys.c", "program", options);
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
        bench.refused(&["program", "--shim", "prefix/lib"], 4, &["crate static-keys"]);
        bench.ok(&["plan", "program", "--disable", "on_key", "-o", "plan"]);
        bench.ok(&["apply", "plan", "program", "-o", "flipped"]);
        // The program ends with 0 where every site follows the definition of its key.
        assert_eq!(run(&mut bench.command("flipped")).code, 1);
    }
}

#[test]
fn tables_of_the_crate_static_keys_are_flipped_in_the_file() {
    tables_of_static_keys(NATIVE);
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs aarch64-linux-gnu-gcc and qemu-aarch64: testdata/check runs it"
)]
fn arm64_tables_of_the_crate_static_keys_are_flipped_in_the_file() {
    tables_of_static_keys(ARM64);
}

/// Structures outside the file or of the wrong type, and bytes that follow the image.
#[test]
fn damage_is_refused() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(bench.machine.cc, "program.c", "program", &[]);
    let whole = bench.read("program");
    let refused = |image: &str, code, words: &[&str]| {
        bench.refused(&[image, "--shim", "prefix/lib"], code, words);
    };
    let word = |at: usize| {
        usize::try_from(u64::from_le_bytes(whole[at..at + 8].try_into().expect("8 bytes")))
            .expect("an offset")
    };
    let with = |name: &str, at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        bench.directory.write(name, copy);
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
    refused("unending", 3, &["dynamic section is damaged"]);
    with("elsewhere", dynamic + 16, &[0xff; 6]);
    refused("elsewhere", 3, &["damaged"]);
    let strings = (0..30).map(|index| entries + index * 16).find(|at| word(*at) == 5);
    with("strings", strings.expect("DT_STRTAB") + 8, &[0xff; 6]);
    refused("strings", 3, &["no", "bytes of strings"]);
    // A note whose type says that it is code is not moved.
    let note = word(40) + 2 * 64 + 4;
    assert_eq!(whole[note], 7, "SHT_NOTE");
    with("no-room", note, &[1]);
    refused("no-room", 4, &["no room for 2 more program headers", ".note"]);
    let mut longer = whole.clone();
    longer.extend([b'x'; 100]);
    bench.directory.write("longer", longer);
    refused("longer", 4, &["100 bytes follow"]);
    // A signature as modules have it: its bytes, their description, their length, the marker
    // (`include/linux/module_signature.h`, Linux 6.12).
    let mut signed = whole.clone();
    signed.extend([0x30; 16].into_iter().chain([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 16]));
    signed.extend(b"~Module signature appended~\n");
    bench.directory.write("signed", signed);
    refused("signed", 4, &["a signature is appended", "link the program before signing it"]);
    bench.directory.write("shorter", &whole[..whole.len() / 2]);
    refused("shorter", 3, &["not within the file"]);
}

/// Whichever byte of the headers or the section headers is damaged, jlctl ends with one of its
/// exit codes.
#[test]
fn any_damaged_byte_ends_in_an_exit_code() {
    let bench = Bench::with_library(NATIVE);
    bench.compile(bench.machine.cc, "program.c", "program", &["-Wl,-z,noseparate-code"]);
    bench.ok(&["link", "program", "-o", "linked", "--shim", "prefix/lib"]);
    for (name, args) in [
        ("program", &["link", "changed", "-o", "out", "--shim", "prefix/lib"][..]),
        ("linked", &["link", "--remove", "changed", "-o", "out"]),
    ] {
        let whole = bench.read(name);
        let offset = u64::from_le_bytes(whole[40..48].try_into().expect("8 bytes"));
        let sections = usize::try_from(offset).expect("an offset");
        let offsets = (16..64 + 15 * 56).step_by(7).chain((sections..whole.len()).step_by(61));
        for at in offsets {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            bench.directory.write("changed", changed);
            let run = bench.jlctl(args);
            assert!([0, 3, 4].contains(&run.code), "{name}, byte {at}: {run:?}");
        }
    }
}
