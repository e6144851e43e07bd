//! The GNU build-id note.

use super::pool::{Pool, read_only};
use crate::elf::{Endian, consts};
use crate::spec::ImageSpec;
use object::endian::Endian as _;

const NT_GNU_BUILD_ID: u32 = 3;
const OWNER: &[u8; 4] = b"GNU\0";

/// Bytes of the note for this id.
pub(crate) fn size(id: &[u8]) -> u64 {
    (12 + OWNER.len() + id.len().next_multiple_of(4)) as u64
}

/// The note.
pub(crate) fn build_id(endian: Endian, id: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a build id is short");
    for word in [length(OWNER), length(id), NT_GNU_BUILD_ID] {
        note.extend(endian.write_u32(word));
    }
    note.extend(OWNER);
    note.extend(id);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// Adds the section `name` for the build id of `spec`, if it has one.
pub(super) fn add_section(pool: &mut Pool, spec: &ImageSpec, name: &str) {
    if let Some(id) = &spec.build_id {
        pool.add_section(read_only(name, 4).typed(consts::SHT_NOTE, 0));
        pool.add(name, size(id), 4);
    }
}
