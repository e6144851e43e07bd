//! Errors for an input that is not readable as an image, and faults of one that is.

use super::container::ContainerError;
use crate::addr::{AddrRange, FileOffset, Svma};
use crate::arch::RelocationError;
use std::path::PathBuf;

/// The input is not readable as an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Opening or mapping failed.
    #[error("{}: {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The path does not name a file that can be mapped.
    #[error("{}: expected an ELF file, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The kind of file.
        found: &'static str,
    },
    /// A container cannot be unpacked.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The bytes are not an ELF file.
    #[error("expected an ELF file (bytes 7f 45 4c 46 at offset 0), found {found}")]
    NotElf {
        /// The likely format of the bytes.
        found: &'static str,
    },
    /// The file ends inside the ELF header.
    #[error(
        "expected an ELF header of {expected} bytes at offset 0, found a file of {found} bytes"
    )]
    ShortHeader {
        /// Size of an ELF header, in bytes.
        expected: usize,
        /// Size of the file, in bytes.
        found: usize,
    },
    /// An identification byte or header field has an invalid value.
    #[error("ELF header: expected {expected}, found {field} = {found:#x}")]
    Header {
        /// Name of the field in the ELF specification.
        field: &'static str,
        /// The valid values.
        expected: &'static str,
        /// The value of the field.
        found: u64,
    },
    /// The file is neither an executable nor a library nor relocatable: a core dump or an
    /// unknown type.
    #[error("expected an executable, shared object or relocatable file, found ELF type {0:#x}")]
    Type(u16),
    /// jlctl does not support the machine.
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
    /// The sections of a debug file differ from those of the module that it belongs to.
    #[error(
        "debug file: expected {expected:#x} bytes in section {name}, as in the module, found {found:#x}: are both from one build?"
    )]
    OtherLayout {
        /// Name of the section.
        name: String,
        /// Size of the section in the module, in bytes.
        expected: u64,
        /// Size of the section in the debug file, in bytes.
        found: u64,
    },
    /// The section header table is not in the file.
    #[error(
        "expected {count} section headers of 64 bytes at file offset {offset}, found the end of the file at {file_size:#x}: is the file truncated?"
    )]
    SectionHeaders {
        /// `e_shoff`.
        offset: FileOffset,
        /// Number of headers that the ELF header states.
        count: u64,
        /// Size of the file in bytes.
        file_size: u64,
    },
}

/// Damage to an image that is otherwise readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageFault {
    /// The file has fewer section headers than the ELF header states.
    #[error("expected {expected} section headers, found {found} before the end of the file")]
    SectionHeadersCut {
        /// Number of headers that the ELF header states.
        expected: u64,
        /// Number of headers read.
        found: u64,
    },
    /// The index of the section that holds the names is invalid.
    #[error(
        "section names: expected e_shstrndx below {sections}, found {index}; sections have no names"
    )]
    SectionNames {
        /// `e_shstrndx`.
        index: usize,
        /// Number of sections.
        sections: usize,
    },
    /// The file does not contain all bytes of a section.
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
    /// A section of a relocatable file is larger than any section of a real module.
    #[error(
        "section {name}: expected at most {placed:#x} bytes, found {size:#x}; the bytes after these are not read"
    )]
    SectionTooLarge {
        /// Name of the section.
        name: String,
        /// `sh_size` in bytes.
        size: u64,
        /// Number of bytes that are read.
        placed: u64,
    },
    /// Two sections claim the same addresses.
    #[error("sections {first} and {second} overlap at {range}")]
    SectionsOverlap {
        /// The section that starts first.
        first: String,
        /// The other section.
        second: String,
        /// The addresses that both claim.
        range: AddrRange,
    },
    /// The symbol table is damaged.
    #[error("symbol table {name}: expected {expected}, found {found}")]
    SymbolTable {
        /// Name of the section.
        name: String,
        /// The property of a valid table.
        expected: &'static str,
        /// The property of this table.
        found: String,
    },
    /// A relocation in the jump table cannot be applied.
    #[error("relocation {} (type {kind}) at {at}: {error}", name.unwrap_or("of unknown name"))]
    Relocation {
        /// The relocated address.
        at: Svma,
        /// ELF relocation type.
        kind: u32,
        /// Its name in the psABI; `None` if the type is not known.
        name: Option<&'static str>,
        /// The reason.
        error: RelocationError,
    },
    /// Relocations of a debug section cannot be applied.
    #[error(
        "{count} relocation(s) of {section} not applied; the first, {} (type {kind}) at {section}+{at:#x}: {error}",
        name.unwrap_or("of unknown name")
    )]
    Relocations {
        /// Name of the section.
        section: String,
        /// Number of such relocations.
        count: usize,
        /// Offset of the first in the section.
        at: u64,
        /// ELF relocation type of the first.
        kind: u32,
        /// Its name in the psABI; `None` if the type is not known.
        name: Option<&'static str>,
        /// The reason for the first.
        error: RelocationError,
    },
    /// A relocation section is damaged.
    #[error("relocation section {name}: expected {expected}, found {found}")]
    RelocationSection {
        /// Name of the section.
        name: String,
        /// The property of a valid section.
        expected: &'static str,
        /// The property of this section.
        found: String,
    },
    /// A field of a raw image's header has an impossible value.
    #[error("boot image header: expected {field} to be {expected}, found {found:#x}")]
    BootHeader {
        /// Name of the field in the kernel's documentation.
        field: &'static str,
        /// The valid values.
        expected: String,
        /// The value of the field.
        found: u64,
    },
    /// The PE header of a raw image is not readable.
    #[error(
        "boot image header: expected a PE header at file offset {offset} with sections at the same offsets in the file and in memory, found none; the PE header is not used"
    )]
    PeHeader {
        /// Offset of the PE header in the file.
        offset: FileOffset,
    },
    /// The file ends before the data of a raw image do.
    #[error("raw image: expected {expected:#x} bytes, found {found:#x}: is the file truncated?")]
    RawImageCut {
        /// Number of bytes that the PE header or the symbols state.
        expected: u64,
        /// Size of the file in bytes.
        found: u64,
    },
    /// The load address of a raw image is not known.
    #[error(
        "the load address of the kernel is not known: all addresses count from the first byte of the file ({reason})"
    )]
    NoLoadAddress {
        /// The reason.
        reason: String,
    },
}

impl ImageFault {
    /// Whether the fault is damage; otherwise the image only lacks something.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        !matches!(self, Self::NoLoadAddress { .. })
    }
}
