//! ELF records (gABI, "ELF Header", "ElfProgram Header", "Section Header", "Dynamic Section",
//! "Symbol Table") of 64-bit little-endian files, as far as a link reads and changes them.
//!
//! A link changes single records and leaves the rest of the file as it is, byte for byte; the
//! writers of ELF crates lay out whole files anew.

/// What identifies such a file: magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
pub(super) const IDENT: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, 1, 1];
pub(super) const ET_EXEC: u16 = 2;
pub(super) const ET_DYN: u16 = 3;
pub(super) const EM_X86_64: u16 = 62;
pub(super) const EM_AARCH64: u16 = 183;

pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_INTERP: u32 = 3;
pub(super) const PT_NOTE: u32 = 4;
pub(super) const PT_PHDR: u32 = 6;
pub(super) const PT_TLS: u32 = 7;
pub(super) const PT_GNU_PROPERTY: u32 = 0x6474_e553;
pub(super) const PF_X: u32 = 1;
pub(super) const PF_W: u32 = 2;
pub(super) const PF_R: u32 = 4;

pub(super) const SHT_PROGBITS: u32 = 1;
pub(super) const SHT_SYMTAB: u32 = 2;
pub(super) const SHT_STRTAB: u32 = 3;
pub(super) const SHT_HASH: u32 = 5;
pub(super) const SHT_DYNAMIC: u32 = 6;
pub(super) const SHT_NOTE: u32 = 7;
pub(super) const SHT_NOBITS: u32 = 8;
pub(super) const SHT_DYNSYM: u32 = 11;
pub(super) const SHT_GNU_HASH: u32 = 0x6fff_fff6;
pub(super) const SHT_GNU_VERDEF: u32 = 0x6fff_fffd;
pub(super) const SHT_GNU_VERNEED: u32 = 0x6fff_fffe;
pub(super) const SHT_GNU_VERSYM: u32 = 0x6fff_ffff;
pub(super) const SHF_WRITE: u64 = 1;
pub(super) const SHF_ALLOC: u64 = 2;
pub(super) const SHF_EXECINSTR: u64 = 4;

pub(super) const DT_NULL: u64 = 0;
pub(super) const DT_NEEDED: u64 = 1;
pub(super) const DT_HASH: u64 = 4;
pub(super) const DT_STRTAB: u64 = 5;
pub(super) const DT_SYMTAB: u64 = 6;
pub(super) const DT_RELA: u64 = 7;
pub(super) const DT_RELASZ: u64 = 8;
pub(super) const DT_STRSZ: u64 = 10;
pub(super) const DT_RPATH: u64 = 15;
pub(super) const DT_REL: u64 = 17;
pub(super) const DT_JMPREL: u64 = 23;
pub(super) const DT_RUNPATH: u64 = 29;
pub(super) const DT_RELR: u64 = 36;
pub(super) const DT_GNU_HASH: u64 = 0x6fff_fef5;
pub(super) const DT_VERSYM: u64 = 0x6fff_fff0;
pub(super) const DT_FLAGS_1: u64 = 0x6fff_fffb;
pub(super) const DT_VERDEF: u64 = 0x6fff_fffc;
pub(super) const DT_VERNEED: u64 = 0x6fff_fffe;
pub(super) const DF_1_NODELETE: u64 = 8;
pub(super) const DF_1_PIE: u64 = 0x0800_0000;

/// Bytes of the ELF header.
pub(super) const HEADER_LEN: usize = 64;
/// Where the header has the address that the kernel enters.
pub(super) const E_ENTRY: usize = 24;
/// Where the header has the offset of the section headers.
pub(super) const E_SHOFF: usize = 40;
/// Where it has the number of program headers, and of section headers.
pub(super) const E_PHNUM: usize = 56;
pub(super) const E_SHNUM: usize = 60;
/// Bytes of a symbol, and where it has its section and its value.
pub(super) const SYMBOL_LEN: usize = 24;
pub(super) const ST_SHNDX: usize = 6;
pub(super) const ST_VALUE: usize = 8;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) physical: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    pub(super) align: u64,
}

impl Segment {
    pub(super) const LEN: usize = 56;

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u32_at(bytes, 0)?,
            flags: u32_at(bytes, 4)?,
            offset: u64_at(bytes, 8)?,
            address: u64_at(bytes, 16)?,
            physical: u64_at(bytes, 24)?,
            file_size: u64_at(bytes, 32)?,
            memory_size: u64_at(bytes, 40)?,
            align: u64_at(bytes, 48)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.kind.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        for word in
            [self.offset, self.address, self.physical, self.file_size, self.memory_size, self.align]
        {
            out.extend(word.to_le_bytes());
        }
    }

    /// The end of its bytes in the file, where that is an offset at all.
    pub(super) fn file_end(&self) -> Option<u64> {
        self.offset.checked_add(self.file_size)
    }
}

/// A section header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Section {
    pub(super) name: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
    pub(super) entry_size: u64,
}

impl Section {
    pub(super) const LEN: usize = 64;

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            name: u32_at(bytes, 0)?,
            kind: u32_at(bytes, 4)?,
            flags: u64_at(bytes, 8)?,
            address: u64_at(bytes, 16)?,
            offset: u64_at(bytes, 24)?,
            size: u64_at(bytes, 32)?,
            link: u32_at(bytes, 40)?,
            info: u32_at(bytes, 44)?,
            align: u64_at(bytes, 48)?,
            entry_size: u64_at(bytes, 56)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.name.to_le_bytes());
        out.extend(self.kind.to_le_bytes());
        for word in [self.flags, self.address, self.offset, self.size] {
            out.extend(word.to_le_bytes());
        }
        out.extend(self.link.to_le_bytes());
        out.extend(self.info.to_le_bytes());
        out.extend(self.align.to_le_bytes());
        out.extend(self.entry_size.to_le_bytes());
    }

    pub(super) fn is_allocated(&self) -> bool {
        self.flags & SHF_ALLOC != 0
    }

    /// The end of its bytes in the file, where that is an offset at all.
    pub(super) fn file_end(&self) -> Option<u64> {
        if self.kind == SHT_NOBITS {
            return Some(self.offset);
        }
        self.offset.checked_add(self.size)
    }
}
