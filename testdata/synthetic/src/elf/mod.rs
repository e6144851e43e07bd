//! A model of an ELF file that can be edited before it is written: sections,
//! symbols and segments by name.  [`Elf::write`] (in `write.rs`) turns it into
//! bytes through `object`'s low-level writer.

mod model;
mod write;

pub use model::{
    Content, Elf, REL_BYTES, RELA_BYTES, Relocation, Section, Segment, Symbol, SymbolRef,
    SymbolSection,
};
pub use object::Endianness as Endian;
pub use object::elf as consts;
