//! `.debug_aranges`, which gimli does not write.

use super::recorder::{DebugSection, Fixup, FixupTarget};
use crate::elf::{Endian, Section};
use object::endian::Endian as _;
use std::ops::Range;

const VERSION: u16 = 2;
const ADDRESS_BYTES: u8 = 8;
/// Tuples are aligned to their own size.
const TUPLE_BYTES: usize = 16;

/// The section for the units in `info`, whose address ranges are `ranges`.
pub(super) fn write(endian: Endian, info: &[u8], ranges: &[Vec<Range<u64>>]) -> DebugSection {
    let (mut bytes, mut fixups) = (Vec::new(), Vec::new());
    let mut unit = 0;
    for ranges in ranges {
        // A unit without code has no set.
        if !ranges.is_empty() {
            let start = bytes.len() as u64;
            fixups.extend(places(start, unit, ranges));
            bytes.extend(set(endian, unit, ranges));
        }
        unit += unit_bytes(endian, &info[unit..]);
    }
    let section = Section { align: 16, ..Section::new(".debug_aranges", bytes) };
    DebugSection { section, fixups }
}

/// Size of the unit at the start of `info`, its length field included.
fn unit_bytes(endian: Endian, info: &[u8]) -> usize {
    let length = info[..4].try_into().expect("a unit starts with its length");
    4 + usize::try_from(endian.read_u32(length)).expect("a unit is small")
}

/// The fixups of a set that begins at `start`: the unit and the addresses.
fn places(start: u64, unit: usize, ranges: &[Range<u64>]) -> Vec<Fixup> {
    let info = FixupTarget::Section(".debug_info".to_owned());
    let mut fixups = vec![Fixup { offset: start + 6, size: 4, target: info, value: unit as u64 }];
    let tuples = (start + TUPLE_BYTES as u64..).step_by(TUPLE_BYTES);
    fixups.extend(tuples.zip(ranges).map(|(offset, range)| Fixup {
        offset,
        size: 8,
        target: FixupTarget::Address,
        value: range.start,
    }));
    fixups
}

fn set(endian: Endian, unit: usize, ranges: &[Range<u64>]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(endian.write_u16(VERSION));
    body.extend(endian.write_u32(u32::try_from(unit).expect("debug info is small")));
    body.extend([ADDRESS_BYTES, 0]);
    // The length field counts towards the alignment of the tuples.
    body.resize((body.len() + 4).next_multiple_of(TUPLE_BYTES) - 4, 0);
    let tuples = ranges.iter().map(|range| [range.start, range.end - range.start]);
    for word in tuples.chain([[0, 0]]).flatten() {
        body.extend(endian.write_u64(word));
    }
    let length = u32::try_from(body.len()).expect("a set is small");
    let mut set = endian.write_u32(length).to_vec();
    set.extend(body);
    set
}
