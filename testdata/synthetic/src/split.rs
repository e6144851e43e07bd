//! Stripped images and their separate debug files.

use crate::elf::{Content, Elf, Section, consts};
use flate2::Crc;
use object::endian::Endian as _;

/// A stripped image and its debug file.
#[derive(Debug, Clone)]
pub struct Split {
    /// No symbols and no debug sections, but `.gnu_debuglink`.
    pub stripped: Vec<u8>,
    /// Symbols and debug sections; loaded sections without bytes, except notes.
    pub debug: Vec<u8>,
}

/// Splits `elf`; the link in the stripped image names `debug_name`.
#[must_use]
pub fn split_debug(elf: &Elf, debug_name: &str) -> Split {
    let debug = debug_file(elf).write();
    let mut stripped = strip(elf);
    stripped.sections.push(debug_link(elf, debug_name, &debug));
    Split { stripped: stripped.write(), debug }
}

/// The image without symbols and debug sections, as `strip` leaves it: sections
/// and their headers stay.
#[must_use]
pub fn strip(elf: &Elf) -> Elf {
    let mut stripped = elf.clone();
    stripped.symbols.clear();
    stripped.sections.retain(|section| !section.name.starts_with(".debug_"));
    stripped
}

fn debug_file(elf: &Elf) -> Elf {
    let mut debug = elf.clone();
    for section in &mut debug.sections {
        if section.is_loaded() && section.sh_type != consts::SHT_NOTE {
            section.content = Content::NoBits(section.content.len());
            section.sh_type = consts::SHT_NOBITS;
        }
    }
    debug
}

/// The name, NUL, padding to four bytes, CRC-32 of the debug file.
fn debug_link(elf: &Elf, name: &str, debug: &[u8]) -> Section {
    let mut crc = Crc::new();
    crc.update(debug);
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(elf.endian.write_u32(crc.sum()));
    Section { align: 4, ..Section::new(".gnu_debuglink", bytes) }
}
