//! DWARF of an image: one unit a source file, with the chains of inlined
//! functions that the kernel's `static_branch_*()` macros leave at each site.

mod aranges;
pub(crate) mod handmade;
mod recorder;
mod types;
mod unit;
mod variables;

use crate::elf::{Section, consts};
use crate::link::{Entry, UNIT};
use crate::spec::{ImageSpec, InlineFrame, Machine};
use gimli::write::{Dwarf, Sections};
use gimli::{Encoding, Format, SectionId};
use recorder::{DebugSection, Recorder};
use std::ops::Range;
use variables::Variable;

/// The file that declares the asm wrappers of arm64.
pub const WRAPPER_FILE: &str = "arch/arm64/include/asm/jump_label.h";
/// The directory of compilation that the units name.
pub const COMP_DIR: &str = "/build/linux";
/// Lines from the declaration of an inline function to the call in it.
const CALL_DISTANCE: u32 = 3;

/// A function as its unit describes it.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) external: bool,
    pub(crate) range: Range<u64>,
    /// In address order, no two at one address.
    pub(crate) sites: Vec<SiteLines>,
}

/// A site as line rows and inlined subroutines describe it.
#[derive(Debug, Clone)]
pub(crate) struct SiteLines {
    pub(crate) range: Range<u64>,
    /// Line in the function's file.
    pub(crate) line: u32,
    /// Inlined functions, outermost first; the last is the asm wrapper.
    pub(crate) frames: Vec<InlineFrame>,
}

impl InlineFrame {
    /// Line of the call (or, in the wrapper, of the `asm`).
    pub(crate) fn call_line(&self) -> u32 {
        self.line + CALL_DISTANCE
    }
}

/// The wrapper that a compiler inlines for a site: the kernel's macros choose
/// it by the instruction that the site begins with.
fn wrapper(machine: Machine, entry: &Entry) -> InlineFrame {
    let (function, line) = if entry.is_nop(machine) {
        ("arch_static_branch", 20)
    } else {
        ("arch_static_branch_jump", 36)
    };
    let file = format!("arch/{}/include/asm/jump_label.h", machine.folder());
    InlineFrame { function: function.to_owned(), file, line }
}

/// The functions of `spec`, each with the sites inside it.
pub(crate) fn functions(spec: &ImageSpec, addresses: &[u64], entries: &[Entry]) -> Vec<Function> {
    let function = |(function, start): (&crate::spec::FunctionSpec, &u64)| {
        let range = *start..start + function.insns * UNIT;
        let mut sites: Vec<SiteLines> = spec
            .sites
            .iter()
            .zip(entries)
            .filter(|(_, entry)| range.contains(&entry.code))
            .map(|(site, entry)| {
                let distance = u32::try_from((entry.code - start) / UNIT);
                let by_distance = function.line + 1 + distance.expect("a function is short");
                let mut frames = site.inlined.clone();
                frames.push(wrapper(spec.machine, entry));
                let range = entry.code..entry.code + entry.insn.length();
                SiteLines { range, line: site.line.unwrap_or(by_distance), frames }
            })
            .collect();
        sites.sort_by_key(|site| site.range.start);
        sites.dedup_by_key(|site| site.range.start);
        Function {
            name: function.name.clone(),
            file: function.file.clone(),
            line: function.line,
            external: function.global,
            range,
            sites,
        }
    };
    spec.functions.iter().zip(addresses).map(function).collect()
}

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
