//! Chains of frames from jlctl and from addr2line's `Context`.

use super::chain::{Chain, of_frames};
use addr2line::{Context, LookupContinuation, LookupResult};
use gimli::{Dwarf, DwarfFileType, EndianSlice, RunTimeEndian, SectionId};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::DebugInfo;
use jlctl_analyzer::image::Image;
use object::{Endianness, Object, ObjectSection};
use std::path::Path;
use std::sync::Arc;

type Slice = EndianSlice<'static, RunTimeEndian>;

/// What jlctl says of `addresses` in a file that lies at `path`.
pub(crate) fn of_jlctl(bytes: &[u8], path: &Path, addresses: &[u64]) -> Vec<Chain> {
    let sections = Image::parse_sections(bytes).expect("the sections can be read");
    let debug_info = DebugInfo::new(&sections).expect("there is debug information");
    let addresses: Vec<Svma> = addresses.iter().copied().map(Svma).collect();
    let frames = debug_info.frames(&addresses, path, &|_| {});
    assert_eq!(frames.faults(), []);
    of_frames(&frames, addresses.len())
}

/// What addr2line says of them; split units are read as it asks for them.
pub(crate) fn of_addr2line(bytes: &[u8], addresses: &[u64]) -> Vec<Chain> {
    let dwarf = load(bytes, |id| Some(id.name()));
    let context = Context::from_dwarf(dwarf).expect("the units are sound");
    addresses.iter().map(|address| chain(&context, *address)).collect()
}

/// The sections that `name` names.  Copied and leaked: a test has few.
fn load(bytes: &[u8], name: impl Fn(SectionId) -> Option<&'static str>) -> Dwarf<Slice> {
    let file = object::read::elf::ElfFile64::<Endianness>::parse(bytes);
    let file = file.expect("the file can be read");
    let order = match file.endian() {
        Endianness::Little => RunTimeEndian::Little,
        Endianness::Big => RunTimeEndian::Big,
    };
    let section = |id| {
        let found = name(id).and_then(|name| file.section_by_name(name));
        let data = found.map_or(&[][..], |found| found.data().expect("it is in the file"));
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
