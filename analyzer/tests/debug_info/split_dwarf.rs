//! Split debug information from a real compiler: rustc, which every build of this test has.

use super::chains;
use object::{Object, ObjectSymbol, SymbolKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Three levels of inlining, in two functions that are not inlined.
const SOURCE: &str = "
use std::hint::black_box;

#[inline(always)]
fn innermost(value: u64) -> u64 {
    black_box(value.rotate_left(7)) ^ 0x55
}

#[inline(always)]
fn middle(value: u64) -> u64 {
    let first = innermost(value);
    innermost(first + 1)
}

#[inline(never)]
pub fn split_demo_outer(value: u64) -> u64 {
    middle(value)
        .wrapping_mul(middle(value + 2))
}

#[inline(never)]
pub fn split_demo_loop(count: u64) -> u64 {
    (0..count).map(|value| middle(value)).sum()
}

fn main() {
    let count = std::env::args().count() as u64;
    println!(\"{}\", split_demo_outer(count) + split_demo_loop(count));
}
";

/// The compiler beside the cargo that runs the test, or the one in the search path.
fn rustc() -> PathBuf {
    let beside = std::env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
    beside.filter(|path| path.exists()).unwrap_or_else(|| "rustc".into())
}

/// Compiles [`SOURCE`] in `directory`, and returns the program's path.
fn compile(directory: &Path, version: u8, style: &str) -> PathBuf {
    let source = directory.join("split_demo.rs");
    fs::write(&source, SOURCE).expect("the source can be written");
    let program = directory.join("split_demo");
    let mut command = Command::new(rustc());
    command.current_dir(directory).args(["--edition=2021", "-g", "-Copt-level=2"]);
    command.arg(format!("-Cdwarf-version={version}")).arg(format!("-Csplit-debuginfo={style}"));
    command.args(["-Ccodegen-units=1", "-Csymbol-mangling-version=v0"]);
    let output = command.arg("-o").arg(&program).arg(&source).output().expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The addresses of all bytes of the functions that [`SOURCE`] names.
fn addresses(program: &[u8]) -> Vec<u64> {
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(program);
    let file = file.expect("the program can be read");
    let ours = |symbol: &object::read::elf::ElfSymbol64<'_, '_>| {
        let name = symbol.name().unwrap_or_default();
        symbol.kind() == SymbolKind::Text && name.contains("split_demo_")
    };
    let functions = file.symbols().filter(ours);
    functions.flat_map(|symbol| symbol.address()..symbol.address() + symbol.size()).collect()
}

fn split_objects(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "dwo")).count()
}

fn deepest(chains: &[chains::Chain]) -> usize {
    chains.iter().map(Vec::len).max().unwrap_or(0)
}

#[test]
fn split_objects_give_the_frames_of_addr2line() {
    for version in [4, 5] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = compile(directory.path(), version, "unpacked");
        assert!(split_objects(directory.path()) > 0, "rustc left split objects");
        let bytes = fs::read(&program).expect("the program is there");
        let addresses = addresses(&bytes);
        let found = chains::of_jlctl(&bytes, &program, &addresses);
        let wanted = chains::of_addr2line(&bytes, &addresses);
        for ((address, found), wanted) in addresses.iter().zip(&found).zip(&wanted) {
            assert_eq!(found, wanted, "DWARF {version}, {address:#x}");
        }
        assert!(deepest(&found) >= 3, "DWARF {version}: {}", deepest(&found));
    }
}

/// Split, packed and whole information of one program agree.  This does not depend on the oracle of
/// the test above.
#[test]
fn split_packed_and_whole_information_agree() {
    for version in [4, 5] {
        let [whole, objects, package] = ["off", "unpacked", "packed"].map(|style| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let program = compile(directory.path(), version, style);
            let package = directory.path().join("split_demo.dwp").exists();
            assert_eq!(package, style == "packed");
            assert_eq!(split_objects(directory.path()) > 0, style == "unpacked");
            let bytes = fs::read(&program).expect("the program is there");
            without_files(chains::of_jlctl(&bytes, &program, &addresses(&bytes)))
        });
        assert!(deepest(&whole) >= 3, "DWARF {version}");
        assert_eq!(objects, whole, "DWARF {version}, objects");
        assert_eq!(package, whole, "DWARF {version}, package");
    }
}

/// The two programs were compiled in different directories.
fn without_files(chains: Vec<chains::Chain>) -> Vec<chains::Chain> {
    let plain = |chain: chains::Chain| {
        chain.into_iter().map(|(name, _, line, column)| (name, None, line, column)).collect()
    };
    chains.into_iter().map(plain).collect()
}

#[test]
fn objects_of_a_moved_tree_are_found_and_missing_ones_reported() {
    let built = tempfile::tempdir().expect("a temporary directory");
    let program = compile(built.path(), 5, "unpacked");
    let bytes = fs::read(&program).expect("the program is there");
    let addresses = addresses(&bytes);
    let before = chains::of_jlctl(&bytes, &program, &addresses);
    let parent = tempfile::tempdir().expect("a temporary directory");
    let moved = parent.path().join("moved");
    fs::rename(built.path(), &moved).expect("the tree can be moved");
    assert_eq!(chains::of_jlctl(&bytes, &moved.join("split_demo"), &addresses), before);

    let sections =
        jlctl_analyzer::image::Image::parse_sections(&bytes).expect("the file is readable");
    let debug_info =
        jlctl_analyzer::debug_info::DebugInfo::new(&sections).expect("there is an entry");
    let code: Vec<_> = addresses.iter().copied().map(jlctl_analyzer::addr::Svma).collect();
    let frames = debug_info.frames(&code, Path::new("/nonexistent/image"), &|_| {});
    let faults: Vec<String> = frames.faults().iter().map(ToString::to_string).collect();
    assert!(faults.iter().any(|fault| fault.contains(".dwo")), "{faults:?}");
    assert_eq!(frames.chain(0).len(), 1, "the lines are in the program itself");
}
