//! Chains of frames as plain values: from jlctl, from addr2line's `Context`, and from the
//! declaration of an image.

use addr2line::{Context, LookupContinuation, LookupResult};
use gimli::{Dwarf, DwarfFileType, EndianSlice, RunTimeEndian, SectionId};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::DebugInfo;
use jlctl_analyzer::debug_info::Frames;
use jlctl_analyzer::image::Image;
use jlctl_synthetic::dwarf::COMP_DIR;
use jlctl_synthetic::link::{Entry, Linked};
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, SiteSpec};
use object::{Endianness, Object, ObjectSection};
use std::path::Path;
use std::sync::Arc;

/// A frame: function, file, line, column.
pub(crate) type Frame = (Option<String>, Option<String>, Option<u32>, Option<u32>);
/// Frames of one address, innermost first.
pub(crate) type Chain = Vec<Frame>;

/// The chains of a lookup of `count` addresses.
pub(crate) fn of_frames(frames: &Frames, count: usize) -> Vec<Chain> {
    let text = |id| frames.string(id).to_owned();
    let frame = |frame: &jlctl_analyzer::debug_info::Frame| {
        (frame.function.map(text), frame.file.map(text), frame.line, frame.column)
    };
    (0..count).map(|index| frames.chain(index).iter().map(frame).collect()).collect()
}

type Slice = EndianSlice<'static, RunTimeEndian>;

/// The chains that jlctl finds for `addresses` in the file at `path`.
pub(crate) fn of_jlctl(bytes: &[u8], path: &Path, addresses: &[u64]) -> Vec<Chain> {
    let sections = Image::parse_sections(bytes).expect("the sections can be read");
    let debug_info = DebugInfo::new(&sections).expect("there is debug information");
    let addresses: Vec<Svma> = addresses.iter().copied().map(Svma).collect();
    let frames = debug_info.frames(&addresses, path, &|_| {});
    assert_eq!(frames.faults(), []);
    of_frames(&frames, addresses.len())
}

/// The chains that addr2line finds; split units are read on demand.
pub(crate) fn of_addr2line(bytes: &[u8], addresses: &[u64]) -> Vec<Chain> {
    let dwarf = load(bytes, |id| Some(id.name()));
    let context = Context::from_dwarf(dwarf).expect("the units are sound");
    addresses.iter().map(|address| chain(&context, *address)).collect()
}

/// The sections that `name` selects, copied and leaked, since a test has few.
fn load(bytes: &[u8], name: impl Fn(SectionId) -> Option<&'static str>) -> Dwarf<Slice> {
    let file = object::read::elf::ElfFile64::<Endianness>::parse(bytes);
    let file = file.expect("the file is readable");
    let order = match file.endian() {
        Endianness::Little => RunTimeEndian::Little,
        Endianness::Big => RunTimeEndian::Big,
    };
    let section = |id| {
        let found = name(id).and_then(|name| file.section_by_name(name));
        let data = found.map_or(&[][..], |found| found.data().expect("the section is in the file"));
        Ok::<_, std::convert::Infallible>(Slice::new(data.to_vec().leak(), order))
    };
    let Ok(dwarf) = Dwarf::load(section);
    dwarf
}

fn chain(context: &Context<Slice>, address: u64) -> Chain {
    let mut result = context.find_frames(address);
    let mut frames = loop {
        match result {
            LookupResult::Output(frames) => break frames.expect("the unit is sound"),
            LookupResult::Load { load: wanted, continuation } => {
                let directory = wanted.comp_dir.map_or("".into(), |text| text.to_string_lossy());
                let name = wanted.path.expect("a split unit has a name").to_string_lossy();
                let path = Path::new(&*directory).join(&*name);
                let bytes = std::fs::read(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let mut dwo = load(&bytes, SectionId::dwo_name);
                dwo.file_type = DwarfFileType::Dwo;
                dwo.make_dwo(&wanted.parent);
                result = continuation.resume(Some(Arc::new(dwo)));
            }
        }
    };
    let mut chain = Chain::new();
    while let Some(frame) = frames.next().expect("the frames are sound") {
        let function = frame.function.map(|name| {
            name.demangle().map_or_else(|_| "?".to_owned(), std::borrow::Cow::into_owned)
        });
        let place = frame.location;
        let file = place.as_ref().and_then(|place| place.file).map(str::to_owned);
        let known = |number: Option<u32>| number.filter(|number| *number != 0);
        let line = known(place.as_ref().and_then(|place| place.line));
        let column = known(place.as_ref().and_then(|place| place.column));
        chain.push((function, file, line, column));
    }
    chain
}

/// The lines from an inline function's declaration to the call in it.
const CALL_DISTANCE: u32 = 3;

fn frame(function: &str, file: &str, line: u32, column: u32) -> Frame {
    let file = format!("{COMP_DIR}/{file}");
    (Some(function.to_owned()), Some(file), Some(line), Some(column))
}

/// The chain of each site that the declaration of an image implies.
pub(crate) fn declared(spec: &ImageSpec, linked: &Linked) -> Vec<Chain> {
    let sites = spec.sites.iter().zip(&linked.entries);
    sites.map(|(site, entry)| of_site(spec, linked, site, entry)).collect()
}

/// The function that contains a site, and the number of instructions before the site.
fn function_of<'a>(spec: &'a ImageSpec, linked: &Linked, code: u64) -> (&'a FunctionSpec, u32) {
    let distance = |function: &FunctionSpec| {
        let bytes = code.checked_sub(linked.address(&function.name))?;
        (bytes < 4 * function.insns)
            .then(|| u32::try_from(bytes / 4).expect("the function is short"))
    };
    let found = spec.functions.iter().find_map(|function| Some((function, distance(function)?)));
    found.expect("each site lies in a function")
}

fn of_site(spec: &ImageSpec, linked: &Linked, site: &SiteSpec, entry: &Entry) -> Chain {
    let (function, distance) = function_of(spec, linked, entry.code);
    let (wrapper, line) = match entry.jump {
        None => ("arch_static_branch", 20),
        Some(_) => ("arch_static_branch_jump", 36),
    };
    let file = format!("arch/{}/include/asm/jump_label.h", spec.machine.folder());
    let mut chain = vec![frame(wrapper, &file, line + CALL_DISTANCE, 2)];
    for inlined in site.inlined.iter().rev() {
        chain.push(frame(&inlined.function, &inlined.file, inlined.line + CALL_DISTANCE, 6));
    }
    let line = site.line.unwrap_or(function.line + 1 + distance);
    chain.push(frame(&function.name, &function.file, line, 6));
    chain
}
