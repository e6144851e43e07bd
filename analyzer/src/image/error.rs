//! Why an image cannot be read at all, and what is damaged in one that can.

use super::container::ContainerError;
use crate::addr::{AddrRange, FileOffset, Svma};
use crate::arch::RelocationError;
use std::path::PathBuf;

/// Nothing in the input can be read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Opening or mapping failed.
    #[error("{}: {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// The path names something that cannot be mapped.
    #[error("{}: expected an ELF file, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A container cannot be unpacked.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The bytes are no ELF file.
    #[error("expected an ELF file (bytes 7f 45 4c 46 at offset 0), found {found}")]
    NotElf {
        /// What they look like.
        found: &'static str,
    },
    /// The ELF header ends before it should.
    #[error(
        "expected an ELF header of {expected} bytes at offset 0, found a file of {found} bytes"
    )]
    ShortHeader {
        /// Bytes needed.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// An identification byte or header field has no meaning.
    #[error("ELF header: expected {expected}, found {field} = {found:#x}")]
    Header {
        /// Name of the field in the ELF specification.
        field: &'static str,
        /// What jlctl reads.
        expected: &'static str,
        /// What is there.
        found: u64,
    },
    /// Not an image that runs or is loaded: a core dump or an unknown type.
    #[error("expected an executable, shared object or relocatable file, found ELF type {0:#x}")]
    Type(u16),
    /// A machine that jlctl does not know yet.
    #[error(
        "expected a supported architecture ({}), found {name} (ELF machine {machine})",
        crate::arch::names()
    )]
    Machine {
        /// `e_machine`.
        machine: u16,
        /// Its usual name.
        name: &'static str,
    },
    /// A debug file is laid out otherwise than the module that it belongs to.
    #[error(
        "debug file: expected {expected:#x} bytes in section {name}, as the module has, found {found:#x}: were both made by one build?"
    )]
    OtherLayout {
        /// Name of the section.
        name: String,
        /// Bytes that it has in the module.
        expected: u64,
        /// Bytes that it has in the debug file.
        found: u64,
    },
    /// The section header table is not in the file.
    #[error(
        "expected {count} section headers of 64 bytes at file offset {offset}, found the end of the file at {file_size:#x}: is the file truncated?"
    )]
    SectionHeaders {
        /// `e_shoff`.
        offset: FileOffset,
        /// Headers announced.
        count: u64,
        /// Size of the file in bytes.
        file_size: u64,
    },
}

/// Damage in an image that could be read all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageFault {
    /// Fewer section headers are in the file than the ELF header announces.
    #[error("expected {expected} section headers, found {found} before the end of the file")]
    SectionHeadersCut {
        /// Headers announced.
        expected: u64,
        /// Headers read.
        found: u64,
    },
    /// The index of the section that holds the names leads nowhere.
    #[error(
        "section names: expected e_shstrndx below {sections}, found {index}; sections have no names"
    )]
    SectionNames {
        /// `e_shstrndx`.
        index: usize,
        /// Sections there are.
        sections: usize,
    },
    /// A section's bytes are not all in the file.
    #[error(
        "section {name}: expected {size:#x} bytes at file offset {offset}, found the end of the file at {file_size:#x}"
    )]
    SectionOutsideFile {
        /// Name of the section.
        name: String,
        /// `sh_offset`.
        offset: FileOffset,
        /// `sh_size` in bytes.
        size: u64,
        /// Size of the file in bytes.
        file_size: u64,
    },
    /// A section of a relocatable file claims more than any module has.
    #[error(
        "section {name}: expected at most {placed:#x} bytes, found {size:#x}; what lies behind is not read"
    )]
    SectionTooLarge {
        /// Name of the section.
        name: String,
        /// `sh_size` in bytes.
        size: u64,
        /// Bytes that are read.
        placed: u64,
    },
    /// Two sections claim the same addresses.
    #[error("sections {first} and {second} overlap at {range}")]
    SectionsOverlap {
        /// The one that starts first.
        first: String,
        /// The other.
        second: String,
        /// The addresses that both claim.
        range: AddrRange,
    },
    /// The symbol table cannot be read whole.
    #[error("symbol table {name}: expected {expected}, found {found}")]
    SymbolTable {
        /// Name of the section.
        name: String,
        /// What a sound table has.
        expected: &'static str,
        /// What this one has.
        found: String,
    },
    /// A relocation inside the jump table that cannot be applied.
    #[error("relocation {} (type {kind}) at {at}: {error}", name.unwrap_or("of no known name"))]
    Relocation {
        /// The relocated address.
        at: Svma,
        /// ELF relocation type.
        kind: u32,
        /// Its name in the psABI, if it is a known one.
        name: Option<&'static str>,
        /// Why.
        error: RelocationError,
    },
    /// Relocations of a debug section that cannot be applied.
    #[error(
        "{count} relocation(s) of {section} not applied; the first, {} (type {kind}) at {section}+{at:#x}: {error}",
        name.unwrap_or("of no known name")
    )]
    Relocations {
        /// Name of the section.
        section: String,
        /// How many.
        count: usize,
        /// Offset in the section of the first.
        at: u64,
        /// ELF relocation type of the first.
        kind: u32,
        /// Its name in the psABI, if it is a known one.
        name: Option<&'static str>,
        /// Why the first cannot.
        error: RelocationError,
    },
    /// A relocation section that cannot be read whole.
    #[error("relocation section {name}: expected {expected}, found {found}")]
    RelocationSection {
        /// Name of the section.
        name: String,
        /// What a sound section has.
        expected: &'static str,
        /// What this one has.
        found: String,
    },
    /// A field of a raw image's header says what cannot be.
    #[error("boot image header: expected {field} to be {expected}, found {found:#x}")]
    BootHeader {
        /// Name of the field in the kernel's documentation.
        field: &'static str,
        /// What a sound header has.
        expected: String,
        /// What is there.
        found: u64,
    },
    /// The PE header of a raw image cannot be read.
    #[error(
        "boot image header: expected a PE header at file offset {offset} with sections that lie in the file as in memory, found none; it is not used"
    )]
    PeHeader {
        /// Where it should be.
        offset: FileOffset,
    },
    /// A raw image ends before its data do.
    #[error("raw image: expected {expected:#x} bytes, found {found:#x}: is the file truncated?")]
    RawImageCut {
        /// Bytes that its PE header or its symbols state.
        expected: u64,
        /// Size of the file in bytes.
        found: u64,
    },
    /// Nothing says where a raw image lies in memory.
    #[error(
        "nothing says where the kernel lies in memory: all addresses count from the first byte of the file ({reason})"
    )]
    NoLoadAddress {
        /// Why.
        reason: String,
    },
}

impl ImageFault {
    /// Whether the file is damaged; otherwise it lacks something.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        !matches!(self, Self::NoLoadAddress { .. })
    }
}
