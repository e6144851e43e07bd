//! `.debug_info` assembled byte by byte: no compiler emits it, and gimli's writer refuses it or
//! overflows its stack. DWARF 4, little-endian, one unit.

use crate::elf::Section;
use std::ops::Range;

/// The kind of entry that a deep tree nests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nest {
    /// `DW_TAG_inlined_subroutine`.
    InlinedSubroutine,
    /// `DW_TAG_lexical_block`.
    LexicalBlock,
}

/// Size of the unit header: offset of the root entry.
const UNIT_HEADER_BYTES: usize = 11;

// Abbreviation codes.
const UNIT: u8 = 1;
const SUBPROGRAM: u8 = 2;
const ABSTRACT: u8 = 3;
const INLINED: u8 = 4;
const BLOCK: u8 = 5;
const ORIGIN_ONLY: u8 = 6;
const SPECIFICATION_ONLY: u8 = 7;

/// Code, tag, children, then (attribute, form) pairs, as `.debug_abbrev` has them.
#[rustfmt::skip]
const ABBREVIATIONS: &[u8] = &[
    // compile_unit: name string, low_pc addr, high_pc data8
    UNIT, 0x11, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0,
    // subprogram: name string, low_pc addr, high_pc data8
    SUBPROGRAM, 0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0,
    // subprogram without children: name string, inline data1
    ABSTRACT, 0x2e, 0, 0x03, 0x08, 0x20, 0x0b, 0, 0,
    // inlined_subroutine: abstract_origin ref4, low_pc addr, high_pc data8, call_line data1
    INLINED, 0x1d, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x07, 0x59, 0x0b, 0, 0,
    // lexical_block: low_pc addr, high_pc data8
    BLOCK, 0x0b, 1, 0x11, 0x01, 0x12, 0x07, 0, 0,
    // subprogram: abstract_origin ref4, low_pc addr, high_pc data8
    ORIGIN_ONLY, 0x2e, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x07, 0, 0,
    // subprogram without children: specification ref4
    SPECIFICATION_ONLY, 0x2e, 0, 0x47, 0x13, 0, 0,
    0,
];

/// Entries of a unit under construction; offsets count from the unit's header.
struct Entries {
    bytes: Vec<u8>,
}

impl Entries {
    fn new(range: &Range<u64>) -> Self {
        let mut entries = Self { bytes: vec![0; UNIT_HEADER_BYTES] };
        entries.begin(UNIT).text("kernel/broken.c").range(range);
        entries
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("the unit is small")
    }

    fn begin(&mut self, code: u8) -> &mut Self {
        self.bytes.push(code);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        self
    }

    fn reference(&mut self, offset: u32) -> &mut Self {
        self.bytes.extend(offset.to_le_bytes());
        self
    }

    fn byte(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    fn range(&mut self, range: &Range<u64>) -> &mut Self {
        self.bytes.extend(range.start.to_le_bytes());
        self.bytes.extend((range.end - range.start).to_le_bytes());
        self
    }

    /// Ends the children of `levels` entries.
    fn end(&mut self, levels: usize) {
        self.bytes.resize(self.bytes.len() + levels, 0);
    }

    fn into_sections(mut self) -> Vec<Section> {
        self.end(1);
        let length = self.offset() - 4;
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        // Version 4, abbreviations at 0, addresses of 8 bytes.
        self.bytes[4..UNIT_HEADER_BYTES].copy_from_slice(&[4, 0, 0, 0, 0, 0, 8]);
        vec![
            Section::new(".debug_abbrev", ABBREVIATIONS.to_vec()),
            Section::new(".debug_info", self.bytes),
        ]
    }
}

/// References that form circles, in a function at `range`.
pub(crate) fn cyclic(range: Range<u64>) -> Vec<Section> {
    let mut entries = Entries::new(&range);
    let own = entries.offset();
    entries.begin(ORIGIN_ONLY).reference(own).range(&range);
    let inlined = entries.offset();
    entries.begin(INLINED).reference(inlined).range(&range).byte(1);
    // The two entries below name one another.
    let first = entries.offset() + 1 + 4 + 16 + 1 + 3;
    let second = first + 5;
    entries.begin(INLINED).reference(first).range(&range).byte(2);
    entries.end(3);
    assert_eq!(entries.offset(), first, "the reference leads to the entry below");
    entries.begin(SPECIFICATION_ONLY).reference(second);
    assert_eq!(entries.offset(), second, "the reference leads to the entry below");
    entries.begin(SPECIFICATION_ONLY).reference(first);
    entries.into_sections()
}

/// `depth` entries inside one another, each over the whole of `range`.
pub(crate) fn nested(range: &Range<u64>, nest: Nest, depth: usize) -> Vec<Section> {
    let mut entries = Entries::new(range);
    let origin = entries.offset();
    entries.begin(ABSTRACT).text("nested").byte(3);
    entries.begin(SUBPROGRAM).text("other_fn").range(range);
    for _ in 0..depth {
        match nest {
            Nest::InlinedSubroutine => {
                entries.begin(INLINED).reference(origin).range(range).byte(7);
            }
            Nest::LexicalBlock => {
                entries.begin(BLOCK).range(range);
            }
        }
    }
    entries.end(depth + 1);
    entries.into_sections()
}
