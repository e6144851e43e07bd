//! Sites: the instructions at the code addresses of entries.

use crate::addr::{AddrRange, Svma};
use crate::arch::{SiteDecode, SiteInsn};
use crate::image::{Image, ImageKind, SectionId, SymbolOffset, SymbolicAddress};
use std::borrow::Cow;
use std::fmt;

/// Dense index of a site in its table, in table order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub(crate) u32);

impl SiteId {
    /// The index of the entry in the table, starting at 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One site.
#[derive(Debug, Clone, Copy)]
pub struct Site<'data> {
    /// The bytes of the instruction at `code`; if they are not an instruction, as many bytes as
    /// the longest site has.  `None` if the file does not have them.
    pub bytes: Option<&'data [u8]>,
    /// The instruction.
    pub insn: SiteInsn,
    /// Length of the instruction in bytes; 0 if it is not known.
    pub len: usize,
    /// The section of the site.
    pub section: Option<SectionId>,
    /// The function of the site.
    pub function: Option<SymbolOffset>,
}

impl<'data> Site<'data> {
    pub(super) fn read(image: &Image<'data>, code: Svma) -> Self {
        let arch = image.arch();
        let bytes = image.read_up_to(code, arch.max_insn_bytes() as u64).unwrap_or_default();
        let SiteDecode { insn, len } = match image.kind() {
            // A branch to another section gets its displacement from a relocation.
            ImageKind::Rel => arch.decode_site(code, &relocated(image, code, bytes)),
            ImageKind::Exec | ImageKind::Dyn => arch.decode_site(code, bytes),
        };
        Self {
            bytes: match len {
                0 => bytes.get(..bytes.len().min(arch.max_site_bytes())),
                len => bytes.get(..len),
            }
            .filter(|bytes| !bytes.is_empty()),
            insn,
            len,
            section: image.section_at(code),
            function: image.symbols().function_at(code),
        }
    }

    /// Disassembly at `code`; `None` if there are no bytes or they are not an instruction.  In
    /// a relocatable file addresses count from the start of the section.
    #[must_use]
    pub fn disassembly(&self, image: &Image<'_>, code: Svma) -> Option<String> {
        let SymbolicAddress::Section { offset, .. } = image.symbolic(code) else {
            return image.arch().disassemble(code, self.bytes?);
        };
        let text = image.arch().disassemble(Svma(offset), self.bytes?)?;
        match (self.insn, text.rsplit_once(' ')) {
            (SiteInsn::Jmp { to }, Some((mnemonic, _))) => {
                Some(format!("{mnemonic} {}", image.address_text(to)))
            }
            _ => Some(text),
        }
    }
}

fn relocated<'data>(image: &Image<'data>, code: Svma, bytes: &'data [u8]) -> Cow<'data, [u8]> {
    let range = AddrRange::sized(code, bytes.len() as u64);
    image.read_relocated(range).map_or(Cow::Borrowed(bytes), |relocated| relocated.bytes)
}

/// A copy of a site's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteBytes {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl SiteBytes {
    /// Length of the longest instruction of any architecture, in bytes.
    const CAPACITY: usize = 15;

    /// Copies at most 15 bytes of a site.
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
