//! Images: reads ELF files and raw kernels, with their sections, symbols, identity, and bytes
//! by address.
//!
//! # Sections, not segments
//! The location of bytes comes from sections.  A vmlinux has one segment that contains
//! everything (RWX), so only sections separate text from data.

mod archive;
mod compressed;
pub mod container;
mod debug_sections;
mod elf;
mod error;
mod file;
mod format;
mod identity;
mod imports;
pub mod kallsyms;
mod kallsyms_symbols;
mod mapped;
mod model;
mod module_layout;
mod parse;
mod raw;
mod relocate;
mod relocation_sections;
mod section;
mod signature;
mod symbol;
mod symbolic;

pub use archive::{ArchiveMember, ArchiveMembers, MemberContent, archive_members, is_archive};
pub use compressed::{CompressedError, section_bytes};
pub use debug_sections::{DebugSections, SectionContents};
pub use error::{ImageError, ImageFault};
pub use file::ImageFile;
pub use format::{ImageFormat, ImageKind};
pub use identity::DebugLink;
pub use imports::ImportSlot;
pub use mapped::MappedFile;
pub use model::{Image, ReadError};
pub use relocate::Relocated;
pub use relocation_sections::RelocatedAddresses;
pub use section::{Section, SectionFlags, SectionId};
pub use signature::{
    MessageFault, ModuleSignature, SignatureFault, Signer, SignerKey, module_signature,
};
pub use symbol::{Binding, Symbol, SymbolId, SymbolKind, SymbolOffset, Symbols};
pub use symbolic::SymbolicAddress;
