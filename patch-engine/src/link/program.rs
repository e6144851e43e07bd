//! The headers and the dynamic section of a program or library.

use super::error::{Why, damaged};
use super::record::{DynamicEntry, FileHeader, LE, Section, Segment, all_records};
use super::record::{record, records, slice};
use object::elf::{
    DF_1_PIE, DT_FLAGS_1, DT_NULL, DT_STRSZ, DT_STRTAB, DynamicTag, ELFCLASS64, ELFDATA2LSB,
    ELFMAG, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, EV_CURRENT, Machine, PT_DYNAMIC, PT_INTERP,
    PT_LOAD, ProgramType, SHF_ALLOC, SHT_NOBITS, SHT_STRTAB,
};

/// A 64-bit little-endian ELF file, an executable or a shared object.
#[derive(Debug)]
pub(super) struct ElfProgram<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: &'a FileHeader,
    pub(super) segments: &'a [Segment],
    pub(super) sections: &'a [Section],
    /// Tags and values of the dynamic section, up to the final DT_NULL.
    pub(super) dynamic: Vec<(DynamicTag, u64)>,
}

impl<'a> ElfProgram<'a> {
    /// Reads the headers of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Why> {
        let header = identify(bytes)?;
        let segments = (header.e_phnum.get(LE), header.e_phentsize.get(LE));
        let segments = table(bytes, header.e_phoff.get(LE), segments)
            .ok_or_else(|| damaged("table of program headers", "not within the file"))?;
        let sections = (header.e_shnum.get(LE), header.e_shentsize.get(LE));
        let sections = table(bytes, header.e_shoff.get(LE), sections)
            .ok_or_else(|| damaged("table of section headers", "not within the file"))?;
        let mut program = Self { bytes, header, segments, sections, dynamic: Vec::new() };
        program.check()?;
        program.dynamic = program.read_dynamic()?;
        Ok(program)
    }

    /// Checks that the segments' bytes are in the file, and that their memory has addresses.
    fn check(&self) -> Result<(), Why> {
        let what = "table of program headers";
        let len = self.bytes.len() as u64;
        for (index, segment) in self.segments.iter().enumerate() {
            let (file_size, memory_size) = (segment.p_filesz.get(LE), segment.p_memsz.get(LE));
            let is_within = segment_file_end(segment).is_some_and(|end| end <= len);
            if !is_within || segment.p_vaddr.get(LE).checked_add(memory_size).is_none() {
                return Err(damaged(what, format!("segment {index} ends after the file's end")));
            }
            let align = segment.p_align.get(LE);
            let is_odd = align > 1 && !align.is_power_of_two();
            if is_odd || (segment.p_type.get(LE) == PT_LOAD && file_size > memory_size) {
                return Err(damaged(what, format!("segment {index} has impossible sizes")));
            }
        }
        if !self.sections.is_empty() {
            let is_names = |section: &Section| section.sh_type.get(LE) == SHT_STRTAB;
            if !self.sections.get(self.names()).is_some_and(is_names) {
                return Err(damaged("table of section headers", "no section has their names"));
            }
        }
        Ok(())
    }

    fn read_dynamic(&self) -> Result<Vec<(DynamicTag, u64)>, Why> {
        let what = "dynamic section";
        let Some(segment) = self.segment(PT_DYNAMIC) else { return Ok(Vec::new()) };
        let offset = segment.p_offset.get(LE);
        let bytes = slice(self.bytes, offset, segment.p_filesz.get(LE)).unwrap_or_default();
        if self.offset_of(segment.p_vaddr.get(LE)) != Some(offset) {
            return Err(damaged(what, "other bytes are loaded at its address"));
        }
        let mut entries = Vec::new();
        for entry in all_records::<DynamicEntry>(bytes) {
            match entry.d_tag.get(LE) {
                DT_NULL => return Ok(entries),
                tag => entries.push((tag, entry.d_val.get(LE))),
            }
        }
        Err(damaged(
            what,
            format!("expected a DT_NULL at its end, found none in {} bytes", bytes.len()),
        ))
    }

    /// The machine that the program is for: EM_AARCH64 or EM_X86_64.
    pub(super) fn machine(&self) -> Machine {
        self.header.e_machine.get(LE)
    }

    /// The address that the kernel enters.
    pub(super) fn entry(&self) -> u64 {
        self.header.e_entry.get(LE)
    }

    /// File offset of the program headers.
    pub(super) fn segments_at(&self) -> u64 {
        self.header.e_phoff.get(LE)
    }

    /// Index of the section with the names of sections.
    pub(super) fn names(&self) -> usize {
        usize::from(self.header.e_shstrndx.get(LE).0)
    }

    /// Whether the file is a library, which a process can close again.
    pub(super) fn is_library(&self) -> bool {
        let flags = self.dynamic_value(DT_FLAGS_1).unwrap_or(0);
        let is_shared_object = self.header.e_type.get(LE) == ET_DYN;
        is_shared_object && self.segment(PT_INTERP).is_none() && flags & DF_1_PIE.0 == 0
    }

    /// Whether no dynamic linker loads the program.
    pub(super) fn is_static(&self) -> bool {
        let is_loaded = self.segment(PT_INTERP).is_some() || self.is_library();
        self.segment(PT_DYNAMIC).is_none() || !is_loaded
    }

    /// The first segment of a kind.
    pub(super) fn segment(&self, kind: ProgramType) -> Option<&'a Segment> {
        self.segments.iter().find(|segment| segment.p_type.get(LE) == kind)
    }

    /// The segments that are loaded.
    pub(super) fn loads(&self) -> impl DoubleEndedIterator<Item = &'a Segment> + Clone {
        self.segments.iter().filter(|segment| segment.p_type.get(LE) == PT_LOAD)
    }

    /// Bytes of the largest page that a loaded segment is aligned to, at least 4096.
    pub(super) fn page(&self) -> u64 {
        self.loads().map(|load| load.p_align.get(LE)).max().unwrap_or(0).max(0x1000)
    }

    /// The first value of a tag of the dynamic section.
    pub(super) fn dynamic_value(&self, tag: DynamicTag) -> Option<u64> {
        self.dynamic.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// The file offset of the byte at `address`.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.loads().find_map(|segment| {
            let within = address.checked_sub(segment.p_vaddr.get(LE))?;
            (within < segment.p_filesz.get(LE)).then_some(segment.p_offset.get(LE) + within)
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
            damaged("dynamic section", format!("string {offset:#x} is not within its strings"))
        })?;
        Ok(rest.split(|byte| *byte == 0).next().unwrap_or_default())
    }

    /// The bytes of a section; none if they are not within the file.
    pub(super) fn section_bytes(&self, section: &Section) -> Option<&'a [u8]> {
        slice(self.bytes, section.sh_offset.get(LE), section.sh_size.get(LE))
    }

    /// The bytes of the section with the names of sections.
    pub(super) fn section_names(&self) -> &'a [u8] {
        let names = self.sections.get(self.names());
        names.and_then(|names| self.section_bytes(names)).unwrap_or_default()
    }

    /// The name of a section.
    pub(super) fn section_name(&self, section: &Section) -> &'a [u8] {
        let start = section.sh_name.get(LE) as usize;
        let rest = self.section_names().get(start..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The end of everything that the headers name.
    pub(super) fn end(&self) -> u64 {
        let of_segments = self.segments.iter().filter_map(segment_file_end);
        let of_sections = self.sections.iter().filter_map(section_file_end);
        let table = size_of_val(self.sections) as u64;
        let tables = [self.header.e_shoff.get(LE).saturating_add(table)];
        of_segments.chain(of_sections).chain(tables).max().unwrap_or(0)
    }
}

/// The end of a segment's bytes in the file, unless it is beyond the largest offset.
pub(super) fn segment_file_end(segment: &Segment) -> Option<u64> {
    segment.p_offset.get(LE).checked_add(segment.p_filesz.get(LE))
}

/// The end of a section's bytes in the file, unless it is beyond the largest offset.
pub(super) fn section_file_end(section: &Section) -> Option<u64> {
    let size = if section.sh_type.get(LE) == SHT_NOBITS { 0 } else { section.sh_size.get(LE) };
    section.sh_offset.get(LE).checked_add(size)
}

/// Whether a section is part of the program's memory.
pub(super) fn is_allocated(section: &Section) -> bool {
    section.sh_flags.get(LE).0 & SHF_ALLOC.0 != 0
}

/// The header of a file that can be linked.
fn identify(bytes: &[u8]) -> Result<&FileHeader, Why> {
    let other = |found: &str| Err(Why::NotAProgram(found.to_owned()));
    if !bytes.starts_with(&ELFMAG) {
        return other("no ELF file");
    }
    let Some(header) = record::<FileHeader>(bytes, 0) else {
        return other("a header that is cut off");
    };
    let ident = header.e_ident;
    if (ident.class, ident.data, ident.version) != (ELFCLASS64, ELFDATA2LSB, EV_CURRENT) {
        return other("another class or byte order");
    }
    match (header.e_type.get(LE), header.e_machine.get(LE)) {
        (ET_EXEC | ET_DYN, EM_X86_64 | EM_AARCH64) => Ok(header),
        (ET_EXEC | ET_DYN, machine) => {
            other(&format!("one for the machine of number {} (e_machine)", machine.0))
        }
        (kind, _) => other(&format!("a file of type {} (e_type)", kind.0)),
    }
}

/// The table of `count` records at `offset`, whose records have `size` bytes by the header.
fn table<T: object::pod::Pod>(
    bytes: &[u8],
    offset: u64,
    (count, size): (u16, u16),
) -> Option<&[T]> {
    match count {
        0 => Some(&[]),
        _ if usize::from(size) != size_of::<T>() => None,
        _ => records(bytes, offset, usize::from(count)),
    }
}
