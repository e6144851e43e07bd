//! The code at a site in LLVM's disassembly: a branch that is not taken is one NOP on the
//! straight path, and the other side is out of line.

use crate::cargo::{Crate, Options, Project, source};
use crate::compile::{Build, CLANG, CLANGXX, Compiler, GCC, GCC_AARCH64, GCC_RISCV64, GXX};
use crate::library::{Library, Target};
use crate::sites::{Found, Nop, last_part, of_program};
use crate::tools::{check_itself, run};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};
use std::fs;
use std::path::Path;
use std::process::Command;

/// An instruction: its address, and its text with one space.
type Insn = (u64, String);

/// The instructions of the function whose name ends with `name`, up to its first return: the
/// straight path through it.
fn straight_path(program: &Path, name: &str) -> Vec<Insn> {
    let bytes = fs::read(program).expect("a program");
    let file = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let mut named = functions.filter(|symbol| {
        let demangled = addr2line::demangle_auto(symbol.name().unwrap_or_default().into(), None);
        last_part(&demangled) == name
    });
    let function = named.next().unwrap_or_else(|| panic!("there is no function {name}"));
    assert!(named.next().is_none(), "there are two functions {name}");
    let (start, stop) = (function.address(), function.address() + function.size());
    let mut command = Command::new("llvm-objdump-19");
    command.args(["--disassemble", "--no-show-raw-insn", "--no-print-imm-hex"]);
    command.args([format!("--start-address={start}"), format!("--stop-address={stop}")]);
    let text = run(command.arg(program));
    let all: Vec<Insn> = text.lines().filter_map(instruction).collect();
    let end = all.iter().position(|(_, text)| text.split(' ').next().is_some_and(is_return));
    let end = end.unwrap_or_else(|| panic!("{name} does not return: {all:x?}"));
    all.into_iter().take(end + 1).collect()
}

/// `  1139: nopl    (%rax,%rax)`
fn instruction(line: &str) -> Option<Insn> {
    let (address, text) = line.trim().split_once(':')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let text = text.split(['#', '<']).next().unwrap_or_default();
    Some((address, text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn is_return(mnemonic: &str) -> bool {
    ["ret", "retq", "c.ret"].contains(&mnemonic)
}

/// A site's NOP, and the NOPs with which an assembler may align it.
#[derive(Debug, Clone, Copy)]
struct Nops {
    site: &'static str,
    alignment: &'static [&'static str],
}

const X86_64: Nops =
    Nops { site: "nopl (%rax,%rax)", alignment: &["nop", "nopw", "nopl", "xchgw"] };
const AARCH64: Nops = Nops { site: "nop", alignment: &[] };
/// The NOP of two bytes has the same text.
const RISCV64: Nops = Nops { site: "nop", alignment: &["nop"] };

/// Checks the functions `off_site` and `on_site` of `program` against `plain`.
fn check_straight(program: &Path, nops: Nops) {
    let plain = straight_path(program, "plain");
    let sites = of_program(program);
    assert_eq!(sites.len(), 2, "{sites:x?}");
    for name in ["off_site", "on_site"] {
        let site = sites.iter().find(|site| last_part(&site.function) == name);
        let site = site.unwrap_or_else(|| panic!("{name} has a site: {sites:x?}"));
        check_one(&plain, &straight_path(program, name), site, nops);
    }
}

fn check_one(plain: &[Insn], path: &[Insn], site: &Found, nops: Nops) {
    assert_eq!(site.insn, Nop, "{site:x?}");
    let at = path.iter().position(|(address, _)| *address == site.code);
    let at = at.unwrap_or_else(|| panic!("the site is on the straight path: {site:x?} {path:x?}"));
    assert_eq!(path[at].1, nops.site, "{path:x?}");
    let mut rest: Vec<&str> = path.iter().map(|(_, text)| text.as_str()).collect();
    rest.remove(at);
    let before = at.checked_sub(1).map(|before| rest[before]);
    if before
        .is_some_and(|text| nops.alignment.iter().any(|nop| text.split(' ').next() == Some(nop)))
    {
        rest.remove(at - 1);
    }
    let plain: Vec<&str> = plain.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(rest, plain, "except for the NOP the code is the same: {path:x?}");
    let (first, last) = (path[0].0, path[path.len() - 1].0);
    assert!(!(first..=last).contains(&site.target), "the other side is out of line: {path:x?}");
}

fn of_c(compiler: Compiler, target: Target, nops: Nops) {
    let library = Library::of(target);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for options in [&["-O2"][..], &["-O2", "-flto"], &["-O3", "-static"]] {
        let build = Build::new(compiler, &library, &["hot.c"]).options(options);
        let program = build.program(&library, directory.path(), "hot");
        check_itself(&mut target.command(&program));
        check_straight(&program, nops);
    }
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and LLVM: testdata/check runs it")]
fn x86_64_by_gcc() {
    of_c(GCC, Target::Native, X86_64);
    of_c(GXX, Target::Native, X86_64);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and LLVM: testdata/check runs it")]
fn x86_64_by_clang() {
    of_c(CLANG, Target::Native, X86_64);
    of_c(CLANGXX, Target::Native, X86_64);
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn aarch64_by_gcc() {
    of_c(GCC_AARCH64, Target::Aarch64, AARCH64);
}

#[test]
#[cfg_attr(
    not(feature = "emulation"),
    ignore = "needs cross compilers and QEMU: testdata/check runs it"
)]
fn riscv64_by_gcc() {
    of_c(GCC_RISCV64, Target::Riscv64, RISCV64);
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and LLVM: testdata/check runs it")]
fn x86_64_by_rustc() {
    let hot = source("hot.rs");
    let project =
        Project::new("hot", &[Crate { name: "hot", source: &hot, kind: "bin", uses: &[] }]);
    for profile in ["release", "fat"] {
        let program = project.build(Options { profile, ..Options::default() }).join("hot");
        check_itself(&mut Command::new(&program));
        check_straight(&program, X86_64);
    }
}
