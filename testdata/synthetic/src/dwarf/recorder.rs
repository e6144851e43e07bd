//! Debug sections with a record of each field that depends on an address or on another section:
//! a linked image contains the values, a module relocations.

use crate::elf::{Endian, Section};
use gimli::write::{EndianVec, RelocateWriter, Relocation, RelocationTarget};
use gimli::{RunTimeEndian, SectionId};
use object::endian::Endian as _;

/// A field of a debug section that depends on an address or on another section.
#[derive(Debug, Clone)]
pub(crate) struct Fixup {
    /// Offset in its section.
    pub(crate) offset: u64,
    /// Bytes of the field: 4 or 8.
    pub(crate) size: u8,
    /// The target of the field.
    pub(crate) target: FixupTarget,
    /// The address, or the offset in the target section.
    pub(crate) value: u64,
}

/// The target of a [`Fixup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FixupTarget {
    /// An address.
    Address,
    /// An offset in another debug section.
    Section(String),
}

/// A section under construction.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    bytes: EndianVec<RunTimeEndian>,
    fixups: Vec<Fixup>,
}

impl Recorder {
    pub(super) fn new(endian: Endian) -> Self {
        let order = match endian {
            Endian::Little => RunTimeEndian::Little,
            Endian::Big => RunTimeEndian::Big,
        };
        Self { bytes: EndianVec::new(order), fixups: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.slice()
    }

    pub(super) fn fixups(&self) -> &[Fixup] {
        &self.fixups
    }
}

impl RelocateWriter for Recorder {
    type Writer = EndianVec<RunTimeEndian>;

    fn writer(&self) -> &Self::Writer {
        &self.bytes
    }

    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.bytes
    }

    fn relocate(&mut self, relocation: Relocation) {
        let target = match relocation.target {
            RelocationTarget::Symbol(_) => FixupTarget::Address,
            // `gimli::write` has no attribute for the base of .debug_addr: see `variables.rs`.
            RelocationTarget::Section(SectionId::DebugMacro) => {
                FixupTarget::Section(SectionId::DebugAddr.name().to_owned())
            }
            RelocationTarget::Section(id) => FixupTarget::Section(id.name().to_owned()),
        };
        self.fixups.push(Fixup {
            offset: relocation.offset as u64,
            size: relocation.size,
            target,
            value: relocation.addend.cast_unsigned(),
        });
    }
}

/// A debug section and its fixups.
#[derive(Debug, Clone)]
pub(crate) struct DebugSection {
    /// The section, with zero in these fields.
    pub(crate) section: Section,
    /// The fields.
    pub(crate) fixups: Vec<Fixup>,
}

impl DebugSection {
    /// The section with the values of a linked image.
    pub(crate) fn linked(mut self, endian: Endian) -> Section {
        if let crate::elf::Content::Bytes(bytes) = &mut self.section.content {
            for Fixup { offset, size, value, .. } in self.fixups {
                let at = usize::try_from(offset).expect("a section is small");
                if size == 8 {
                    bytes[at..at + 8].copy_from_slice(&endian.write_u64(value));
                } else {
                    let value = u32::try_from(value).expect("an offset is small");
                    bytes[at..at + 4].copy_from_slice(&endian.write_u32(value));
                }
            }
        }
        self.section
    }
}
