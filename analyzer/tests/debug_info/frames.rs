//! Frames of synthetic images, compared with the declared chains and with those of addr2line.

use super::chains;
use super::chains::Chain;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::{DebugInfo, DebugInfoError, Frames, find_debug_file};
use jlctl_analyzer::image::{Image, MappedFile};
use jlctl_synthetic::broken::{self, debug};
use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec};
use jlctl_synthetic::{compress, demo, link::Linked, split};
use std::fs;
use std::path::Path;

/// DWARF 4 and 5 in both byte orders.
fn variants() -> Vec<ImageSpec> {
    let variant = |(version, endian)| ImageSpec { dwarf: Some(version), endian, ..demo::spec() };
    [(4, Endian::Little), (5, Endian::Little), (4, Endian::Big), (5, Endian::Big)]
        .map(variant)
        .to_vec()
}

fn codes(linked: &Linked) -> Vec<u64> {
    linked.entries.iter().map(|entry| entry.code).collect()
}

/// The addresses of all instructions of every function, and the ones before the first and after the
/// last.
fn instructions(spec: &ImageSpec, linked: &Linked) -> Vec<u64> {
    let addresses = |function: &FunctionSpec| {
        let start = linked.address(&function.name);
        (start - 4..=start + 4 * function.insns).step_by(4)
    };
    spec.functions.iter().flat_map(addresses).collect()
}

fn of_jlctl(bytes: &[u8], addresses: &[u64]) -> Vec<Chain> {
    chains::of_jlctl(bytes, Path::new("/nonexistent/image"), addresses)
}

#[test]
fn each_site_has_the_declared_chain() {
    for spec in variants() {
        let linked = spec.link();
        let wanted = chains::declared(&spec, &linked);
        assert_eq!(of_jlctl(&linked.bytes(), &codes(&linked)), wanted);
        assert!(wanted.iter().any(|chain| chain.len() == 4), "one chain is deep");
    }
}

#[test]
fn each_instruction_has_the_frames_of_addr2line() {
    for spec in variants() {
        let linked = spec.link();
        let (bytes, addresses) = (linked.bytes(), instructions(&spec, &linked));
        let (found, wanted) =
            (of_jlctl(&bytes, &addresses), chains::of_addr2line(&bytes, &addresses));
        for ((address, found), wanted) in addresses.iter().zip(&found).zip(&wanted) {
            assert_eq!(found, wanted, "{address:#x} in {:?} {:?}", spec.dwarf, spec.endian);
        }
        assert!(found.iter().filter(|chain| !chain.is_empty()).count() > 100);
    }
}

#[test]
fn the_order_and_repetition_of_addresses_do_not_matter() {
    let linked = demo::linked();
    let mut codes = codes(&linked);
    let straight = of_jlctl(&linked.bytes(), &codes);
    codes.reverse();
    codes.extend_from_within(..);
    let mut turned = of_jlctl(&linked.bytes(), &codes);
    assert_eq!(turned[..12], turned[12..]);
    turned.truncate(12);
    turned.reverse();
    assert_eq!(turned, straight);
}

#[test]
fn compressed_sections_give_the_same_frames() {
    for spec in variants() {
        let mut linked = spec.link();
        let plain = of_jlctl(&linked.bytes(), &codes(&linked));
        compress::debug_sections(&mut linked.elf);
        assert_eq!(of_jlctl(&linked.bytes(), &codes(&linked)), plain);
    }
}

/// A directory with a stripped image and, at `debug`, its debug file.
fn split_in(build_id: bool, debug: &str) -> (tempfile::TempDir, Linked) {
    let mut spec = demo::spec();
    spec.build_id = spec.build_id.filter(|_| build_id);
    let linked = spec.link();
    let files = split::split_debug(&linked.elf, "vmlinux.debug");
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("vmlinux"), files.stripped).expect("the file is written");
    let debug = directory.path().join(debug);
    fs::create_dir_all(debug.parent().expect("the path has a parent"))
        .expect("the directory is made");
    fs::write(debug, files.debug).expect("the file is written");
    (directory, linked)
}

/// The chains of a stripped image from its debug file, if that is found.
fn by_way_of_debug_file(directory: &Path, linked: &Linked) -> Option<Vec<Chain>> {
    let path = directory.join("vmlinux");
    let image = MappedFile::open(&path).expect("the image is there");
    let sections = Image::parse_sections(image.bytes()).expect("the sections can be read");
    assert!(matches!(DebugInfo::new(&sections), Err(DebugInfoError::Absent)));
    let found = find_debug_file(&path, &sections, &[directory.join("debug")])?;
    Some(chains::of_jlctl(found.file.bytes(), found.file.path(), &codes(linked)))
}

#[test]
fn separate_debug_files_are_found() {
    let id: String = (2..=20).map(|byte| format!("{byte:02x}")).collect();
    let by_id = format!("debug/.build-id/01/{id}.debug");
    for (build_id, place) in [
        (true, by_id.as_str()),
        (true, "vmlinux.debug"),
        (false, "vmlinux.debug"),
        (false, ".debug/vmlinux.debug"),
    ] {
        let (directory, linked) = split_in(build_id, place);
        let found = by_way_of_debug_file(directory.path(), &linked);
        let whole = of_jlctl(&linked.bytes(), &codes(&linked));
        assert_eq!(found, Some(whole), "{place}");
    }
}

#[test]
fn debug_files_of_other_images_are_refused() {
    for build_id in [true, false] {
        let (directory, linked) = split_in(build_id, "vmlinux.debug");
        let debug = directory.path().join("vmlinux.debug");
        let mut other = demo::spec();
        other.build_id = build_id.then(|| vec![7; 20]);
        other.functions[0].line += 1;
        let other = split::split_debug(&other.link().elf, "vmlinux.debug").debug;
        fs::write(debug, other).expect("the file is written");
        assert_eq!(by_way_of_debug_file(directory.path(), &linked), None);
    }
}

/// Runs `work` on a stack far smaller than a main thread's.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work);
    thread.expect("a thread").join().expect("the lookup ends")
}

fn frames_around_the_site(bytes: &[u8]) -> Frames {
    let sections = Image::parse_sections(bytes).expect("the sections can be read");
    let debug_info = DebugInfo::new(&sections).expect("there is debug information");
    let code = broken::base().link().address("other_fn+0x10");
    debug_info.frames(&[Svma(code)], Path::new("/nonexistent/image"), &|_| {})
}

#[test]
fn cyclic_references_terminate() {
    let bytes = debug::cyclic_references();
    let chain = on_a_small_stack(move || {
        let frames = frames_around_the_site(&bytes);
        chains::of_frames(&frames, 1).remove(0)
    });
    assert!((1..=3).contains(&chain.len()), "{chain:?}");
    assert!(chain.iter().all(|(function, ..)| function.is_none()), "{chain:?}");
}

#[test]
fn deeply_nested_entries_terminate() {
    for depth in [10, debug::DEEP] {
        let nests = [(debug::deep_inlined(depth), depth + 1), (debug::deep_blocks(depth), 1)];
        for (bytes, frames) in nests {
            let found = on_a_small_stack(move || frames_around_the_site(&bytes));
            let chain = found.chain(0);
            let names = chain
                .iter()
                .map(|frame| frame.function.map(jlctl_analyzer::debug_info::StringId::index));
            let names: Vec<_> = names.collect();
            // The whole chain, or a fault with the reason.
            assert!(names.len() == frames || !found.faults().is_empty(), "{}", names.len());
        }
    }
    let shallow = frames_around_the_site(&debug::deep_inlined(10));
    assert_eq!((shallow.chain(0).len(), shallow.faults().len()), (11, 0));
}

#[test]
fn a_compression_bomb_is_refused() {
    for (bytes, wanted) in [
        (debug::compression_bomb(), "found a header that states 1125899906842624"),
        (debug::compressed_truncated(), "section .debug_"),
    ] {
        let sections = Image::parse_sections(&bytes).expect("the sections can be read");
        let error = DebugInfo::new(&sections).expect_err("nothing can be inflated");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}
