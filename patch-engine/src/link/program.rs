//! A program or library as a link sees it: its headers, and its dynamic section.

use super::error::{Why, damaged};
use super::record::{
    DF_1_PIE, DT_FLAGS_1, DT_NULL, DT_STRSZ, DT_STRTAB, E_ENTRY, E_PHNUM, E_SHNUM, E_SHOFF,
    EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, HEADER_LEN, IDENT, PT_DYNAMIC, PT_INTERP, PT_LOAD,
    SHT_STRTAB, Section, Segment, u16_at, u32_at, u64_at,
};

/// The headers of a file.
#[derive(Debug)]
pub(super) struct ElfProgram<'a> {
    pub(super) bytes: &'a [u8],
    /// `e_type`.
    pub(super) kind: u16,
    /// `e_machine`.
    pub(super) machine: u16,
    /// `e_phoff`.
    pub(super) segments_at: u64,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    /// The index of the section with the names of sections.
    pub(super) names: usize,
    /// The entries of the dynamic section, tag and value, without the final DT_NULL.
    pub(super) dynamic: Vec<(u64, u64)>,
}

/// The bytes of a range of the file, if it has them.
pub(super) fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

impl<'a> ElfProgram<'a> {
    /// Reads the headers of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Why> {
        let (kind, machine) = identify(bytes)?;
        let header = |at| u64_at(bytes, at).ok_or_else(|| damaged("ELF header", "cut off"));
        let half = |at| u16_at(bytes, at).ok_or_else(|| damaged("ELF header", "cut off"));
        let segments_at = header(32)?;
        let segments =
            table(bytes, segments_at, half(E_PHNUM)?, (half(54)?, Segment::LEN), Segment::read)
                .ok_or_else(|| damaged("table of program headers", "not within the file"))?;
        let sections = table(
            bytes,
            header(E_SHOFF)?,
            half(E_SHNUM)?,
            (half(58)?, Section::LEN),
            Section::read,
        )
        .ok_or_else(|| damaged("table of section headers", "not within the file"))?;
        let names = usize::from(half(62)?);
        let mut program = Self {
            bytes,
            kind,
            machine,
            segments_at,
            segments,
            sections,
            names,
            dynamic: Vec::new(),
        };
        program.check()?;
        program.dynamic = program.read_dynamic()?;
        Ok(program)
    }

    /// The segments' bytes are in the file, and their memory has addresses.
    fn check(&self) -> Result<(), Why> {
        let what = "table of program headers";
        let len = self.bytes.len() as u64;
        for (index, segment) in self.segments.iter().enumerate() {
            let is_within = segment.file_end().is_some_and(|end| end <= len);
            if !is_within || segment.address.checked_add(segment.memory_size).is_none() {
                return Err(damaged(what, format!("segment {index} ends behind the file's end")));
            }
            let is_odd = segment.align > 1 && !segment.align.is_power_of_two();
            if is_odd || (segment.kind == PT_LOAD && segment.file_size > segment.memory_size) {
                return Err(damaged(what, format!("segment {index} has impossible sizes")));
            }
        }
        if !self.sections.is_empty() {
            let is_names = |section: &Section| section.kind == SHT_STRTAB;
            if !self.sections.get(self.names).is_some_and(is_names) {
                return Err(damaged("table of section headers", "no section has their names"));
            }
        }
        Ok(())
    }

    fn read_dynamic(&self) -> Result<Vec<(u64, u64)>, Why> {
        let what = "dynamic section";
        let Some(segment) = self.segment(PT_DYNAMIC) else { return Ok(Vec::new()) };
        let bytes = slice(self.bytes, segment.offset, segment.file_size).unwrap_or_default();
        if self.offset_of(segment.address) != Some(segment.offset) {
            return Err(damaged(what, "the loaded bytes at its address are others"));
        }
        let mut entries = Vec::new();
        for entry in bytes.chunks_exact(16) {
            match (u64_at(entry, 0), u64_at(entry, 8)) {
                (Some(DT_NULL), _) => return Ok(entries),
                (Some(tag), Some(value)) => entries.push((tag, value)),
                _ => break,
            }
        }
        Err(damaged(
            what,
            format!("expected a DT_NULL at its end, found none in {} bytes", bytes.len()),
        ))
    }

    /// The address that the kernel enters.
    pub(super) fn entry(&self) -> u64 {
        u64_at(self.bytes, E_ENTRY).unwrap_or(0)
    }

    /// Whether it is a library, which a process may close again.
    pub(super) fn is_library(&self) -> bool {
        let flags = self.dynamic_value(DT_FLAGS_1).unwrap_or(0);
        self.kind == ET_DYN && self.segment(PT_INTERP).is_none() && flags & DF_1_PIE == 0
    }

    /// Whether no dynamic linker loads it.
    pub(super) fn is_static(&self) -> bool {
        let is_loaded = self.segment(PT_INTERP).is_some() || self.is_library();
        self.segment(PT_DYNAMIC).is_none() || !is_loaded
    }

    /// The first segment of a kind.
    pub(super) fn segment(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// The first value of a tag of the dynamic section.
    pub(super) fn dynamic_value(&self, tag: u64) -> Option<u64> {
        self.dynamic.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// Where the file has the byte at `address`.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().filter(|segment| segment.kind == PT_LOAD).find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            (within < segment.file_size).then_some(segment.offset + within)
        })
    }

    /// The strings of the dynamic section.
    pub(super) fn strings(&self) -> Result<&'a [u8], Why> {
        let what = "dynamic section";
        let value = |tag, name| {
            self.dynamic_value(tag).ok_or_else(|| damaged(what, format!("it has no {name}")))
        };
        let (address, size) = (value(DT_STRTAB, "DT_STRTAB")?, value(DT_STRSZ, "DT_STRSZ")?);
        self.offset_of(address)
            .and_then(|offset| slice(self.bytes, offset, size))
            .filter(|strings| strings.last() == Some(&0))
            .ok_or_else(|| damaged(what, format!("no {size:#x} bytes of strings at {address:#x}")))
    }

    /// The string at `offset` of [`Self::strings`].
    pub(super) fn string(&self, offset: u64) -> Result<&'a [u8], Why> {
        let strings = self.strings()?;
        let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
        let rest = rest.ok_or_else(|| {
            damaged("dynamic section", format!("string {offset:#x} is not there"))
        })?;
        Ok(rest.split(|byte| *byte == 0).next().unwrap_or_default())
    }

    /// The name of a section.
    pub(super) fn section_name(&self, section: &Section) -> &'a [u8] {
        let names = self.sections.get(self.names);
        let names = names.and_then(|names| slice(self.bytes, names.offset, names.size));
        let rest = names.unwrap_or_default().get(section.name as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The end of all that the headers name.
    pub(super) fn end(&self) -> u64 {
        let of_segments = self.segments.iter().filter_map(Segment::file_end);
        let of_sections = self.sections.iter().filter_map(Section::file_end);
        let tables = u64_at(self.bytes, E_SHOFF)
            .map(|at| at.saturating_add((self.sections.len() * Section::LEN) as u64));
        of_segments.chain(of_sections).chain(tables).max().unwrap_or(0)
    }
}

/// `e_type` and `e_machine` of a file that can be linked.
fn identify(bytes: &[u8]) -> Result<(u16, u16), Why> {
    let other = |found: &str| Err(Why::NotAProgram(found.to_owned()));
    if !bytes.starts_with(IDENT.get(..4).unwrap_or_default()) {
        return other("no ELF file");
    }
    if !bytes.starts_with(&IDENT) {
        return other("another class or byte order");
    }
    if bytes.len() < HEADER_LEN {
        return other("a header that is cut off");
    }
    match (u16_at(bytes, 16), u16_at(bytes, 18)) {
        (Some(kind @ (ET_EXEC | ET_DYN)), Some(machine @ (EM_X86_64 | EM_AARCH64))) => {
            Ok((kind, machine))
        }
        (Some(ET_EXEC | ET_DYN), Some(machine)) => {
            other(&format!("one for the machine of number {machine} (e_machine)"))
        }
        (kind, _) => other(&format!("a file of type {} (e_type)", kind.unwrap_or(0))),
    }
}

/// Reads `count` records of `(size, expected)` bytes at `offset`.
fn table<T>(
    bytes: &[u8],
    offset: u64,
    count: u16,
    (size, expected): (u16, usize),
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    if count == 0 {
        return Some(Vec::new());
    }
    if usize::from(size) != expected {
        return None;
    }
    let records = slice(bytes, offset, u64::from(count) * expected as u64)?;
    records.chunks_exact(expected).map(read).collect()
}

/// The word of 4 bytes at `offset` of the file.
pub(super) fn word(bytes: &[u8], offset: u64) -> Option<u32> {
    u32_at(bytes, usize::try_from(offset).ok()?)
}
