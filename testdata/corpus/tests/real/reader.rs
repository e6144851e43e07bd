//! A second reader of jump tables, written only from the description of the format. It shares
//! no code with the analyzer.
//!
//! It supports only what the tests need: little-endian kernels with self-relative entries,
//! whose table is between two addresses.

use object::Endianness;
use object::elf::{FileHeader64, SHF_ALLOC, SHT_NOBITS, SectionHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};

const ENTRY: u64 = 16;
/// HINT #0.
const NOP: u32 = 0xd503_201f;

/// A section that has an address.
#[derive(Debug)]
struct Section<'data> {
    name: &'data str,
    address: u64,
    size: u64,
    /// `None` if the file has no bytes for it.
    bytes: Option<&'data [u8]>,
}

/// The sections of a kernel.
#[derive(Debug)]
pub(crate) struct Kernel<'data> {
    sections: Vec<Section<'data>>,
}

/// An entry, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) code: u64,
    pub(crate) target: u64,
    pub(crate) key: u64,
    pub(crate) likely: bool,
}

/// A key's state in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyState {
    pub(crate) in_file: bool,
    pub(crate) enabled: i32,
    pub(crate) initially_true: bool,
}

impl<'data> Kernel<'data> {
    pub(crate) fn new(data: &'data [u8]) -> Self {
        let header = FileHeader64::<Endianness>::parse(data).expect("an ELF header");
        let endian = header.endian().expect("a byte order");
        let table = header.sections(endian, data).expect("section headers");
        let section = |header: &'data SectionHeader64<Endianness>| {
            let name = table.section_name(endian, header).expect("a section name");
            Section {
                name: std::str::from_utf8(name).expect("a name in UTF-8"),
                address: header.sh_addr(endian),
                size: header.sh_size(endian),
                bytes: (header.sh_type(endian) != SHT_NOBITS)
                    .then(|| header.data(endian, data).expect("bytes of a section")),
            }
        };
        let allocated = table.iter().filter(|header| header.sh_flags(endian).contains(SHF_ALLOC));
        Self { sections: allocated.map(section).collect() }
    }

    fn section_at(&self, address: u64) -> Option<&Section<'data>> {
        self.sections
            .iter()
            .find(|section| address >= section.address && address - section.address < section.size)
    }

    /// Name of the section around `address`.
    pub(crate) fn section_name(&self, address: u64) -> Option<&'data str> {
        self.section_at(address).map(|section| section.name)
    }

    fn bytes<const N: usize>(&self, address: u64) -> [u8; N] {
        let section = self.section_at(address);
        let section = section.unwrap_or_else(|| panic!("no section covers {address:#x}"));
        let start = usize::try_from(address - section.address).expect("a 64-bit machine");
        let bytes = section.bytes.and_then(|bytes| bytes.get(start..start + N));
        let bytes = bytes.unwrap_or_else(|| panic!("the file has no bytes at {address:#x}"));
        bytes.try_into().expect("N bytes")
    }

    /// The entries between `start` and `stop`.
    pub(crate) fn entries(&self, start: u64, stop: u64) -> Vec<Entry> {
        assert_eq!((stop - start) % ENTRY, 0, "the table has whole entries");
        (start..stop).step_by(16).map(|at| self.entry(at)).collect()
    }

    fn entry(&self, at: u64) -> Entry {
        let relative = |field: u64, displacement: i64| field.wrapping_add_signed(displacement);
        let code = i32::from_le_bytes(self.bytes(at));
        let target = i32::from_le_bytes(self.bytes(at + 4));
        let key = i64::from_le_bytes(self.bytes(at + 8));
        Entry {
            code: relative(at, code.into()),
            target: relative(at + 4, target.into()),
            key: relative(at + 8, key & !3),
            likely: key & 1 == 1,
        }
    }

    /// The instruction word at `address`.
    pub(crate) fn word(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.bytes(address))
    }

    /// The state of the key at `address` in the file.
    pub(crate) fn key_state(&self, address: u64) -> KeyState {
        let section = self.section_at(address);
        let section = section.unwrap_or_else(|| panic!("no section has the key {address:#x}"));
        if section.bytes.is_none() {
            return KeyState { in_file: false, enabled: 0, initially_true: false };
        }
        let r#type = u64::from_le_bytes(self.bytes(address + 8));
        KeyState {
            in_file: true,
            enabled: i32::from_le_bytes(self.bytes(address)),
            initially_true: r#type & 1 == 1,
        }
    }
}

/// Whether `word` is the NOP of a site.
pub(crate) fn is_nop(word: u32) -> bool {
    word == NOP
}

/// The target of the B `word` at `code`; `None` for any other instruction.
pub(crate) fn branch_target(code: u64, word: u32) -> Option<u64> {
    let displacement = i64::from((word << 6).cast_signed() >> 6) * 4;
    (word >> 26 == 0b00_0101).then(|| code.wrapping_add_signed(displacement))
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn branches_are_decoded_forwards_and_backwards() {
    assert_eq!(branch_target(0x1000, 0x1400_0004), Some(0x1010));
    assert_eq!(branch_target(0x1000, 0x17ff_fffc), Some(0xff0));
    assert_eq!(branch_target(0x1000, 0x9400_0004), None, "BL is not B");
    assert!(is_nop(0xd503_201f) && branch_target(0, 0xd503_201f).is_none());
}
