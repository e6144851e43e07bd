//! ELF records (gABI, "ELF Header", "Program Header", "Section Header", "Dynamic Section",
//! "Symbol Table") of 64-bit little-endian files, in the layouts of the object crate.
//!
//! A link changes single records and leaves every other byte of the file as it is.  The writers
//! of ELF crates lay out whole files anew, so that only the layouts are taken from there.

use object::LittleEndian;
use object::elf::{Dyn64, FileHeader64, ProgramHeader64, Rela64, SectionHeader64, Sym64};
use object::pod::{Pod, from_bytes, slice_from_bytes};

/// The byte order of all files that are linked.
pub(super) const LE: LittleEndian = LittleEndian;

/// The ELF header.
pub(super) type FileHeader = FileHeader64<LittleEndian>;
/// A program header.
pub(super) type Segment = ProgramHeader64<LittleEndian>;
/// A section header.
pub(super) type Section = SectionHeader64<LittleEndian>;
/// An entry of a symbol table.
pub(super) type Symbol = Sym64<LittleEndian>;
/// An entry of the dynamic section.
pub(super) type DynamicEntry = Dyn64<LittleEndian>;
/// A relocation with an addend.
pub(super) type Relocation = Rela64<LittleEndian>;

/// The bytes of a range of the file, if the file has them.
pub(super) fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// The record at `offset`.
pub(super) fn record<T: Pod>(bytes: &[u8], offset: u64) -> Option<&T> {
    let bytes = bytes.get(usize::try_from(offset).ok()?..)?;
    from_bytes(bytes).ok().map(|(record, _)| record)
}

/// The `count` records at `offset`.
pub(super) fn records<T: Pod>(bytes: &[u8], offset: u64, count: usize) -> Option<&[T]> {
    let bytes = bytes.get(usize::try_from(offset).ok()?..)?;
    slice_from_bytes(bytes, count).ok().map(|(records, _)| records)
}

/// All whole records in `bytes`.
pub(super) fn all_records<T: Pod>(bytes: &[u8]) -> &[T] {
    records(bytes, 0, bytes.len() / size_of::<T>()).unwrap_or_default()
}
