//! Address spaces as types: a bare `u64` never crosses a module boundary.

use std::fmt;

/// A stated virtual memory address (SVMA): the address that the image itself states, before any
/// load bias (KASLR, PIE) is added.  In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Svma(pub u64);

impl Svma {
    /// The address `bytes` higher.  Wraps at 2⁶⁴, as the processor's arithmetic does.
    #[must_use]
    pub const fn wrapping_add(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// The address `bytes` higher, or lower if `bytes` is negative.  Wraps at 2⁶⁴, as the
    /// processor's arithmetic does.
    #[must_use]
    pub const fn wrapping_offset(self, bytes: i64) -> Self {
        Self(self.0.wrapping_add_signed(bytes))
    }

    /// Whether the address is a multiple of `align` (a power of two, in bytes).
    #[must_use]
    pub const fn is_aligned(self, align: u64) -> bool {
        self.0 & (align - 1) == 0
    }
}

impl fmt::Display for Svma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// An offset into a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileOffset(pub u64);

impl fmt::Display for FileOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A half-open range of stated addresses.  Invariant: `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddrRange {
    start: Svma,
    end: Svma,
}

impl AddrRange {
    /// The range from `start` up to, but not including, `end`; `None` if `end` is below
    /// `start`.
    #[must_use]
    pub fn new(start: Svma, end: Svma) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// `size` bytes from `start`, clamped to the top of the address space.
    #[must_use]
    pub const fn sized(start: Svma, size: u64) -> Self {
        Self { start, end: Svma(start.0.saturating_add(size)) }
    }

    /// First address.
    #[must_use]
    pub const fn start(self) -> Svma {
        self.start
    }

    /// First address after the range.
    #[must_use]
    pub const fn end(self) -> Svma {
        self.end
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Whether the range has no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(self, address: Svma) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether `size` bytes from `address` all lie inside.
    #[must_use]
    pub fn contains_bytes(self, address: Svma, size: u64) -> bool {
        self.start <= address && address.0.checked_add(size).is_some_and(|end| end <= self.end.0)
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_at_the_top_of_the_address_space() {
        let top = AddrRange::sized(Svma(u64::MAX - 3), 16);
        assert_eq!(top.size(), 3);
        assert!(top.contains(Svma(u64::MAX - 1)) && !top.contains(Svma(u64::MAX)));
        assert!(top.contains_bytes(Svma(u64::MAX - 3), 3));
        assert!(!top.contains_bytes(Svma(u64::MAX - 3), 8));
        assert_eq!(AddrRange::new(Svma(2), Svma(1)), None);
    }
}
