//! Sites: what stands at the address that an entry calls `code`.

use crate::addr::Svma;
use crate::arch::SiteInsn;
use crate::image::{Image, SectionId, SymbolOffset};
use std::fmt;

/// Dense index of a site in its table, in table order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub(crate) u32);

impl SiteId {
    /// The index of the entry in the table, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One site.
#[derive(Debug, Clone, Copy)]
pub struct Site<'data> {
    /// The bytes at `code`; `None` if the file has none there.
    pub bytes: Option<&'data [u8]>,
    /// What they are.
    pub insn: SiteInsn,
    /// The section that `code` lies in.
    pub section: Option<SectionId>,
    /// The function that `code` lies in.
    pub function: Option<SymbolOffset>,
}

impl<'data> Site<'data> {
    pub(super) fn read(image: &Image<'data>, code: Svma) -> Self {
        let arch = image.arch();
        let bytes = image.read(code, arch.site_bytes() as u64).ok();
        Self {
            bytes,
            insn: bytes.map_or(SiteInsn::Other, |bytes| arch.classify(code, bytes)),
            section: image.section_at(code),
            function: image.symbols().function_at(code),
        }
    }

    /// Disassembly at `code`; `None` if there are no bytes or no instruction.
    #[must_use]
    pub fn disassembly(&self, image: &Image<'_>, code: Svma) -> Option<String> {
        image.arch().disassemble(code, self.bytes?)
    }
}

/// A copy of a site's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteBytes {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl SiteBytes {
    /// The longest site of any architecture, in bytes, and some room.
    const CAPACITY: usize = 8;

    /// Copies the bytes of a site, at most 8 of them.
    #[must_use]
    pub fn new(site: &[u8]) -> Self {
        let mut copy = Self { bytes: [0; Self::CAPACITY], len: 0 };
        for (to, from) in copy.bytes.iter_mut().zip(site) {
            *to = *from;
            copy.len += 1;
        }
        copy
    }
}

/// Hexadecimal, lowest address first.
impl fmt::Display for SiteBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes[..usize::from(self.len)].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
