//! The identity of an image: build id, kernel release, and debug link.

use super::section::Section;
use super::symbol::Symbols;
use goblin::container::{Container, Ctx};
use goblin::elf::note::{NT_GNU_BUILD_ID, NoteDataIterator};
use memchr::memmem;

/// The identity of an image; a field is `None` if the image does not state it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ImageIdentity<'data> {
    pub(super) build_id: Option<&'data [u8]>,
    pub(super) release: Option<&'data str>,
    pub(super) debug_link: Option<DebugLink<'data>>,
}

/// Content of `.gnu_debuglink`: the name of a separate debug file and its CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebugLink<'data> {
    /// File name, without directories.
    pub name: &'data str,
    /// CRC-32 (polynomial 0x04c11db7, reflected) of the whole debug file.
    pub crc: u32,
}

/// Length of the longest NT_GNU_BUILD_ID that tools generate; a longer one is damage.
pub(super) const BUILD_ID_MAX: usize = 64;
/// The start of a kernel's `linux_banner` (init/version-timestamp.c, Linux 6.12).
const BANNER: &[u8] = b"Linux version ";
/// Key of the release in a module's `.modinfo` section.
const VERMAGIC: &[u8] = b"vermagic=";

impl<'data> ImageIdentity<'data> {
    /// The identity from the sections alone; the release takes symbols or a search.
    pub(super) fn of_sections(sections: &[Section<'data>], ctx: Ctx) -> Self {
        Self {
            build_id: build_id(sections, ctx),
            release: None,
            debug_link: debug_link(sections, !ctx.is_little_endian()),
        }
    }

    /// The identity of a raw image with this build id.
    pub(super) fn of_bytes(data: &'data [u8], build_id: Option<&'data [u8]>) -> Self {
        let release = memmem::find_iter(data, BANNER)
            .find_map(|at| first_word(&data[at + BANNER.len()..]).filter(|word| is_release(word)));
        Self { build_id, release, debug_link: None }
    }

    /// Adds the release that a module's vermagic states.
    pub(super) fn with_vermagic(mut self, sections: &[Section<'data>]) -> Self {
        self.release = word_after(sections, ".modinfo", VERMAGIC);
        self
    }

    pub(super) fn with_release(
        mut self,
        sections: &[Section<'data>],
        symbols: &Symbols<'data>,
    ) -> Self {
        self.release = release(sections, symbols).or(self.release);
        self
    }
}

/// Whether a word is a release and not a format string.
fn is_release(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

fn build_id<'data>(sections: &[Section<'data>], ctx: Ctx) -> Option<&'data [u8]> {
    const SHT_NOTE: u32 = goblin::elf::section_header::SHT_NOTE;
    sections.iter().filter(|section| section.kind == SHT_NOTE).find_map(|section| {
        let ctx = (4, Ctx { container: Container::Big, le: ctx.le });
        let notes =
            NoteDataIterator { data: section.data, size: section.data.len(), offset: 0, ctx };
        notes.flatten().find_map(|note| {
            let is_build_id = note.n_type == NT_GNU_BUILD_ID && note.name == "GNU";
            (is_build_id && (1..=BUILD_ID_MAX).contains(&note.desc.len())).then_some(note.desc)
        })
    })
}

fn debug_link<'data>(sections: &[Section<'data>], big_endian: bool) -> Option<DebugLink<'data>> {
    let section = sections.iter().find(|section| section.name == ".gnu_debuglink")?;
    let name = &section.data[..memchr::memchr(0, section.data)?];
    let crc = *section.data.get((name.len() + 1).next_multiple_of(4)..)?.first_chunk()?;
    let crc = if big_endian { u32::from_be_bytes(crc) } else { u32::from_le_bytes(crc) };
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty() && !name.contains('/')).then_some(DebugLink { name, crc })
}

fn release<'data>(sections: &[Section<'data>], symbols: &Symbols<'data>) -> Option<&'data str> {
    banner_by_symbol(sections, symbols)
        .or_else(|| word_after(sections, ".rodata", BANNER))
        .or_else(|| word_after(sections, ".modinfo", VERMAGIC))
}

fn banner_by_symbol<'data>(
    sections: &[Section<'data>],
    symbols: &Symbols<'data>,
) -> Option<&'data str> {
    symbols.named("linux_banner").find_map(|(_, symbol)| {
        let section = sections.get(symbol.section?.index())?;
        let skip = symbol.address.0.checked_sub(section.range.start().0)?;
        let banner = section.data.get(usize::try_from(skip).ok()?..)?.strip_prefix(BANNER)?;
        first_word(banner)
    })
}

fn word_after<'data>(sections: &[Section<'data>], name: &str, key: &[u8]) -> Option<&'data str> {
    let section = sections.iter().find(|section| section.name == name)?;
    let at = memmem::find(section.data, key)?;
    // Programs can contain the text of a banner too, followed by a format.
    first_word(&section.data[at + key.len()..]).filter(|word| is_release(word))
}

/// The printable word at the start of `bytes`.  Releases are short (65 bytes with the
/// terminator in `struct new_utsname`).
fn first_word(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().take(65).position(|byte| !byte.is_ascii_graphic())?;
    std::str::from_utf8(&bytes[..end]).ok().filter(|word| !word.is_empty())
}
