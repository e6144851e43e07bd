//! Entries of the table, and the choice of their layout.
//!
//! # Evidence decides the layout
//! Both layouts are tried on a sample of entries, and the one whose entries point at code and
//! data wins.  No option and no version of the kernel takes part in the decision.

use crate::addr::Svma;
use crate::image::{Image, Section, SymbolicAddress};
use jlctl_shim::abi::{AbsoluteEntry, ENTRY_BRANCH, ENTRY_FLAGS, ENTRY_INIT, RelativeEntry};

/// The layout of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryLayout {
    /// [`RelativeEntry`]: displacements, 16 bytes.
    Relative,
    /// [`AbsoluteEntry`]: pointers, 24 bytes.
    Absolute,
    /// Entries of the crate static-keys (0.8, `src/lib.rs`, JumpEntry): the fields of
    /// [`AbsoluteEntry`], each a displacement of 8 bytes from the field itself.  The crate's
    /// runtime makes them absolute when the program starts; a file has them as assembled.
    StaticKeys,
}

impl EntryLayout {
    /// Size of an entry in bytes.
    #[must_use]
    pub const fn entry_size(self) -> usize {
        match self {
            Self::Relative => RelativeEntry::SIZE,
            Self::Absolute | Self::StaticKeys => AbsoluteEntry::SIZE,
        }
    }
}

/// An entry with its addresses resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JumpEntry {
    /// Address of the site.
    pub code: Svma,
    /// The branch target of a JMP at the site.
    pub target: Svma,
    /// Address of the static key.
    pub key: Svma,
    /// Whether the branch is *likely*.
    pub branch: bool,
    /// The init bit as stored; [`crate::arch::Architecture::init_bit_on_disk`] gives its
    /// meaning.
    pub init: bool,
}

impl JumpEntry {
    /// Decodes the entry at `address` from `bytes`, which have the length of an entry.  `None`
    /// if they are shorter.
    #[must_use]
    pub fn decode(
        image: &Image<'_>,
        layout: EntryLayout,
        address: Svma,
        bytes: &[u8],
    ) -> Option<Self> {
        match layout {
            EntryLayout::Relative => Self::relative(image, address, bytes),
            EntryLayout::Absolute => Self::absolute(image, bytes),
            EntryLayout::StaticKeys => Self::static_keys(image, address, bytes),
        }
    }

    fn static_keys(image: &Image<'_>, address: Svma, bytes: &[u8]) -> Option<Self> {
        let resolved = |at: usize| {
            let displacement = image.u64_from(bytes.get(at..)?)?;
            Some(address.wrapping_add(at as u64).wrapping_add(displacement))
        };
        // The assembler adds the flag to the key's address before it subtracts the field's
        // address, and the crate extracts the flag from the sum.
        let key = resolved(AbsoluteEntry::KEY)?;
        Some(Self {
            code: resolved(AbsoluteEntry::CODE)?,
            target: resolved(AbsoluteEntry::TARGET)?,
            key: Svma(key.0 & !ENTRY_BRANCH),
            branch: key.0 & ENTRY_BRANCH != 0,
            init: false,
        })
    }

    fn relative(image: &Image<'_>, address: Svma, bytes: &[u8]) -> Option<Self> {
        let resolved = |at: usize| {
            let displacement = image.u32_from(bytes.get(at..)?)?.cast_signed();
            Some(address.wrapping_add(at as u64).wrapping_offset(displacement.into()))
        };
        let key = image.u64_from(bytes.get(RelativeEntry::KEY..)?)?;
        let key_field = address.wrapping_add(RelativeEntry::KEY as u64);
        Some(Self {
            code: resolved(RelativeEntry::CODE)?,
            target: resolved(RelativeEntry::TARGET)?,
            // The flags are cleared before the field's address is added.
            key: key_field.wrapping_add(key & !ENTRY_FLAGS),
            branch: key & ENTRY_BRANCH != 0,
            init: key & ENTRY_INIT != 0,
        })
    }

    fn absolute(image: &Image<'_>, bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| image.u64_from(bytes.get(at..)?);
        let key = word(AbsoluteEntry::KEY)?;
        Some(Self {
            code: Svma(word(AbsoluteEntry::CODE)?),
            target: Svma(word(AbsoluteEntry::TARGET)?),
            key: Svma(key & !ENTRY_FLAGS),
            branch: key & ENTRY_BRANCH != 0,
            init: key & ENTRY_INIT != 0,
        })
    }

    /// Whether the entry points at code and data: site and target in executable sections, the
    /// key in a data section.
    fn is_plausible(&self, image: &Image<'_>) -> bool {
        let section = |address| image.section_at(address).map(|id| image.section(id));
        section(self.code).is_some_and(Section::is_executable)
            && section(self.target).is_some_and(Section::is_executable)
            && (section(self.key).is_some_and(Section::is_data)
                || matches!(image.symbolic(self.key), SymbolicAddress::External { .. }))
    }
}

/// The evidence for a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayoutEvidence {
    /// The layout.
    pub layout: EntryLayout,
    /// Number of entries tried.
    pub tried: usize,
    /// Number of those that point at code and data.
    pub plausible: usize,
}

/// Most entries that are tried in each layout.
const SAMPLE: usize = 512;

/// Selects the layout in which the larger share of entries points at code and data. Without any
/// evidence the table counts as self-relative, the layout of every kernel since 4.19, unless
/// only the other layout divides the size of the table.
#[must_use]
pub(super) fn layout_of(image: &Image<'_>, start: Svma, bytes: &[u8]) -> LayoutEvidence {
    let relative = evidence(image, EntryLayout::Relative, start, bytes);
    let absolute = evidence(image, EntryLayout::Absolute, start, bytes);
    // Compares shares without a division.
    let (left, right) = (relative.plausible * absolute.tried, absolute.plausible * relative.tried);
    let divides = |layout: EntryLayout| bytes.len().is_multiple_of(layout.entry_size());
    let tie_is_absolute = divides(EntryLayout::Absolute) && !divides(EntryLayout::Relative);
    if right > left || (right == left && tie_is_absolute) { absolute } else { relative }
}

/// Tries a layout on up to [`SAMPLE`] entries spread over the whole table.
fn evidence(image: &Image<'_>, layout: EntryLayout, start: Svma, bytes: &[u8]) -> LayoutEvidence {
    let size = layout.entry_size();
    let step = (bytes.len() / size).div_ceil(SAMPLE).max(1);
    let mut evidence = LayoutEvidence { layout, tried: 0, plausible: 0 };
    for (index, entry) in bytes.chunks_exact(size).enumerate().step_by(step) {
        let address = start.wrapping_add((index * size) as u64);
        let entry = JumpEntry::decode(image, layout, address, entry);
        evidence.tried += 1;
        evidence.plausible += usize::from(entry.is_some_and(|entry| entry.is_plausible(image)));
    }
    evidence
}
