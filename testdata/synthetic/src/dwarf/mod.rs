//! DWARF of an image: one unit a source file, with the chains of inlined
//! functions that the kernel's `static_branch_*()` macros leave at each site.

mod aranges;
mod function;
pub(crate) mod handmade;
mod recorder;
mod types;
mod unit;
mod variables;

pub(crate) use function::functions;
pub use function::{COMP_DIR, WRAPPER_FILE};
pub(crate) use recorder::{Fixup, FixupTarget};

use crate::elf::{Section, consts};
use crate::spec::ImageSpec;
use function::Function;
use gimli::write::{Dwarf, Sections};
use gimli::{Encoding, Format, SectionId};
use recorder::{DebugSection, Recorder};
use variables::Variable;

/// The debug sections for `functions` and the typed keys of `spec`, whose
/// objects are `objects`.
pub(crate) fn sections(
    spec: &ImageSpec,
    version: u16,
    functions: &[Function],
    objects: &[(String, u64)],
) -> Vec<DebugSection> {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let variables = variables::of(spec, version, objects);
    let mut dwarf = Dwarf::new();
    let mut ranges = Vec::new();
    for file in files(functions, &variables) {
        let of_file: Vec<&Function> = functions.iter().filter(|f| f.file == file).collect();
        ranges.push(unit::ranges(&of_file));
        unit::add(&mut dwarf, (spec.endian, encoding), file, &of_file, &variables);
    }
    let mut written = Sections::new(Recorder::new(spec.endian));
    dwarf.write(&mut written).expect("gimli writes what it was given");
    let mut sections = Vec::new();
    let collected: Result<(), ()> = written.for_each(|id, recorder| {
        if !recorder.bytes().is_empty() {
            let section = section(id, recorder.bytes().to_vec());
            sections.push(DebugSection { section, fixups: recorder.fixups().to_vec() });
        }
        Ok(())
    });
    collected.expect("collecting cannot fail");
    sections.extend(variables::addresses(spec.endian, encoding, &variables));
    let info = sections.iter().find(|debug| debug.section.name == ".debug_info");
    if let Some(crate::elf::Content::Bytes(info)) = info.map(|debug| &debug.section.content) {
        sections.push(aranges::write(spec.endian, info, &ranges));
    }
    sections
}

/// The source files that have a unit.
fn files<'a>(functions: &'a [Function], variables: &'a [Variable]) -> Vec<&'a str> {
    let of_variables = variables.iter().flat_map(|variable| {
        std::iter::once(&variable.spec.file).chain(&variable.spec.declared_in)
    });
    let mut files: Vec<&str> = Vec::new();
    for file in functions.iter().map(|function| &function.file).chain(of_variables) {
        if !files.contains(&file.as_str()) {
            files.push(file);
        }
    }
    files
}

fn section(id: SectionId, bytes: Vec<u8>) -> Section {
    let section = Section::new(id.name(), bytes);
    match id {
        SectionId::DebugStr | SectionId::DebugLineStr => Section {
            flags: consts::SectionFlags(consts::SHF_MERGE.0 | consts::SHF_STRINGS.0),
            entry_size: 1,
            ..section
        },
        _ => section,
    }
}
