//! The bytes that are appended to a file: first those of a new segment, then those that are not
//! loaded.

/// Bytes after the end of a file, and the addresses of those that are loaded.
#[derive(Debug)]
pub(super) struct Tail {
    /// File offset of the first byte.
    pub(super) offset: u64,
    /// Address of the first byte.
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
}

/// A location in the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
}

impl Tail {
    /// A tail after `len` bytes of a file, loaded after the address `end` in pages of `page` bytes.
    ///
    /// Offset and address agree within a page, so that the file has no hole.
    pub(super) fn after(len: u64, end: u64, page: u64) -> Option<Self> {
        let offset = len.checked_next_multiple_of(16)?;
        let address = end.checked_next_multiple_of(page)?.checked_add(offset % page)?;
        Some(Self { offset, address, bytes: Vec::new() })
    }

    /// Appends `bytes` at an address that equals `like` modulo `align`.
    pub(super) fn place_like(&mut self, like: u64, align: u64, bytes: &[u8]) -> At {
        while !self.here().address.wrapping_sub(like).is_multiple_of(align) {
            self.bytes.push(0);
        }
        let here = self.here();
        self.bytes.extend(bytes);
        At { size: bytes.len() as u64, ..here }
    }

    /// Appends `bytes` at an address that is a multiple of `align`.
    pub(super) fn place(&mut self, align: u64, bytes: &[u8]) -> At {
        self.place_like(0, align, bytes)
    }

    /// Overwrites bytes of the tail.
    pub(super) fn put(&mut self, at: At, within: usize, bytes: &[u8]) {
        let start = usize::try_from(at.offset - self.offset).map(|start| start + within);
        let range = start.ok().and_then(|start| self.bytes.get_mut(start..start + bytes.len()));
        if let Some(range) = range {
            range.copy_from_slice(bytes);
        }
    }

    /// The location of the next byte.
    pub(super) fn here(&self) -> At {
        let len = self.bytes.len() as u64;
        At { offset: self.offset + len, address: self.address + len, size: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_and_address_agree_within_a_page() {
        let mut tail = Tail::after(0x1234, 0x2_0055, 0x1_0000).unwrap();
        assert_eq!((tail.offset, tail.address), (0x1240, 0x3_1240));
        let at = tail.place_like(0x238, 64, &[1; 3]);
        assert_eq!((at.offset % 64, at.address % 64, at.size), (0x38, 0x38, 3));
        let at = tail.place(8, &[2; 8]);
        tail.put(at, 4, &[7]);
        assert_eq!(tail.bytes.last_chunk(), Some(&[2, 2, 2, 2, 7, 2, 2, 2]));
        assert_eq!(Tail::after(16, u64::MAX - 1, 0x1000).map(|tail| tail.offset), None);
    }
}
