//! The DWARF sections of a file, inflated if they are compressed and relocated if the file is
//! relocatable; and gimli's types as this module uses them.

use crate::image::{CompressedError, DebugSections, SectionContents};
use gimli::{DebugInfoOffset, EndianSlice, RunTimeEndian, SectionId};
use rayon::prelude::*;
use std::borrow::Cow;

/// The reader of all DWARF: a slice of a section.
pub(super) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
pub(super) type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;
pub(super) type Unit<'a> = gimli::Unit<Slice<'a>>;
/// Borrowed for `'b` from sections that live for `'a`.
pub(super) type UnitRef<'b, 'a> = gimli::UnitRef<'b, Slice<'a>>;
pub(super) type UnitStart = DebugInfoOffset<usize>;

/// Why a file has no usable debug information.
#[derive(Debug, thiserror::Error)]
pub enum DebugInfoError {
    /// The file has no DWARF.
    #[error("no debug information: expected a section .debug_info, found none")]
    Absent,
    /// A section cannot be inflated.
    #[error(transparent)]
    Compressed(#[from] CompressedError),
}

/// A part of the debug information that could not be read.  Addresses that it covers have no
/// frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("debug information{}: {error}", of_unit(unit.as_ref()))]
pub struct DebugFault {
    /// Offset of the unit in `.debug_info`; `None` if no single unit is concerned.
    pub unit: Option<u64>,
    /// What was expected and found.
    pub error: String,
}

fn of_unit(unit: Option<&u64>) -> String {
    unit.map(|offset| format!(" of the unit at .debug_info+{offset:#x}")).unwrap_or_default()
}

/// Sections that a lookup reads, followed by those that the index of a package mentions.
const WANTED: [SectionId; 16] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugCuIndex,
    SectionId::DebugLoc,
    SectionId::DebugLocLists,
    SectionId::DebugMacinfo,
    SectionId::DebugMacro,
    SectionId::DebugTypes,
];
/// Number of sections that a lookup reads; location lists and the others stay compressed.
const READ: usize = 11;

/// Bytes of the first sections in [`WANTED`], in that order.
#[derive(Debug)]
pub(super) struct DwarfSections<'data> {
    endian: RunTimeEndian,
    bytes: Vec<Cow<'data, [u8]>>,
    faults: Vec<DebugFault>,
}

impl<'data> DwarfSections<'data> {
    pub(super) fn load(elf: &DebugSections<'data>) -> Result<Self, DebugInfoError> {
        Self::load_named(elf, &WANTED[..READ], |id| Some(id.name()))
    }

    /// The sections of a `.dwo` or `.dwp` file (`.debug_info.dwo` and so on). All of them are
    /// needed: gimli cuts a unit's part out of each section that the index of a package
    /// mentions, and rejects the unit if one is missing.
    pub(super) fn load_dwo(elf: &DebugSections<'data>) -> Result<Self, DebugInfoError> {
        Self::load_named(elf, &WANTED, SectionId::dwo_name)
    }

    fn load_named(
        elf: &DebugSections<'data>,
        wanted: &[SectionId],
        name: impl Fn(SectionId) -> Option<&'static str> + Sync,
    ) -> Result<Self, DebugInfoError> {
        let big_endian = elf.is_big_endian();
        let section = |id: SectionId| name(id).and_then(|name| elf.named(name));
        if section(SectionId::DebugInfo).is_none_or(|section| section.data.is_empty()) {
            return Err(DebugInfoError::Absent);
        }
        let contents: Result<Vec<Option<SectionContents<'_>>>, CompressedError> = wanted
            .par_iter()
            .map(|id| name(*id).map_or(Ok(None), |name| elf.contents(name)))
            .collect();
        let endian = if big_endian { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let mut sections = Self { endian, bytes: Vec::new(), faults: Vec::new() };
        for contents in contents? {
            let (bytes, faults) =
                contents.map_or((Cow::default(), Vec::new()), |found| (found.bytes, found.faults));
            sections.bytes.push(bytes);
            let faults = faults.into_iter().map(|fault| fault.to_string());
            sections.faults.extend(faults.map(|error| DebugFault { unit: None, error }));
        }
        Ok(sections)
    }

    /// Relocations that could not be applied, counted per section.
    pub(super) fn faults(&self) -> &[DebugFault] {
        &self.faults
    }

    pub(super) fn endian(&self) -> RunTimeEndian {
        self.endian
    }

    pub(super) fn section(&self, id: SectionId) -> Slice<'_> {
        let at = WANTED.iter().position(|wanted| *wanted == id);
        let bytes = at.and_then(|at| self.bytes.get(at)).map_or(&[][..], AsRef::as_ref);
        Slice::new(bytes, self.endian)
    }

    pub(super) fn dwarf(&self) -> Dwarf<'_> {
        gimli::DwarfSections::load(|id| Ok::<_, std::convert::Infallible>(self.section(id)))
            .map_or_else(|never| match never {}, |sections| sections.borrow(|section| *section))
    }
}
