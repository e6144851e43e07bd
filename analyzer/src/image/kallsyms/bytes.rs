//! Integers in flat bytes, each read checked against their length.

use crate::addr::{FileOffset, Svma};

/// Bytes laid out as in memory: a raw `Image`, or the section of an ELF file that holds the
/// read-only data.
#[derive(Clone, Copy)]
pub struct FlatImage<'data> {
    /// The bytes.  The address of the first one is a multiple of 8.
    pub bytes: &'data [u8],
    /// Their byte order.
    pub big_endian: bool,
    /// Address of the first byte, if the caller knows it.
    pub start: Option<Svma>,
    /// Value of the 64-bit word at an offset, if the caller knows a relocation that fills it.
    pub relocated: &'data dyn Fn(usize) -> Option<u64>,
}

impl<'data> FlatImage<'data> {
    /// A raw image, about which nothing else is known.
    #[must_use]
    pub fn raw(bytes: &'data [u8], big_endian: bool) -> Self {
        Self { bytes, big_endian, start: None, relocated: &|_| None }
    }
}

/// The searched bytes and their byte order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'data> {
    data: &'data [u8],
    big_endian: bool,
}

impl<'data> Bytes<'data> {
    pub(super) const fn new(data: &'data [u8], big_endian: bool) -> Self {
        Self { data, big_endian }
    }

    pub(super) const fn all(self) -> &'data [u8] {
        self.data
    }

    pub(super) const fn len(self) -> usize {
        self.data.len()
    }

    pub(super) const fn is_big_endian(self) -> bool {
        self.big_endian
    }

    /// `size` bytes from `at`; `None` if they are not all present.
    pub(super) fn slice(self, at: usize, size: usize) -> Option<&'data [u8]> {
        self.data.get(at..at.checked_add(size)?)
    }

    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    pub(super) fn u16(self, at: usize) -> Option<u16> {
        let bytes = self.data.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(*bytes) } else { u16::from_le_bytes(*bytes) })
    }

    pub(super) fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..)?.first_chunk()?;
        Some(self.to_u32(*bytes))
    }

    pub(super) fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.data.get(at..)?.first_chunk()?;
        Some(self.to_u64(*bytes))
    }

    /// `count` 32-bit words from `at`; `None` if they are not all present.
    pub(super) fn u32s(
        self,
        at: usize,
        count: usize,
    ) -> Option<impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + 'data> {
        let (words, _) = self.slice(at, count.checked_mul(4)?)?.as_chunks();
        Some(words.iter().map(move |word| self.to_u32(*word)))
    }

    /// `count` 64-bit words from `at`; `None` if they are not all present.
    pub(super) fn u64s(
        self,
        at: usize,
        count: usize,
    ) -> Option<impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + 'data> {
        let (words, _) = self.slice(at, count.checked_mul(8)?)?.as_chunks();
        Some(words.iter().map(move |word| self.to_u64(*word)))
    }

    const fn to_u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    const fn to_u64(self, bytes: [u8; 8]) -> u64 {
        if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }
}

/// An offset in the searched bytes, for messages and reports.
pub(super) const fn offset(at: usize) -> FileOffset {
    FileOffset(at as u64)
}
