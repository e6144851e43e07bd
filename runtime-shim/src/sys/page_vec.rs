//! A list that grows by whole pages of its own, for code that must not call an allocator:
//! it runs in constructors, signal handlers and other people's processes.

#![allow(unsafe_code, reason = "elements of mapped memory")]

use super::errno::Errno;
use super::memory::{map_anonymous, unmap};
use core::{ptr, slice};

/// A list of plain values.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PageVec<T: Copy> {
    elements: *mut T,
    len: usize,
    /// Bytes that are mapped.
    mapped: usize,
}

/// The first mapping: small lists are the rule.
const FIRST_BYTES: usize = 1 << 14;

// SAFETY: the list owns its memory, as a Vec does.
unsafe impl<T: Copy + Send> Send for PageVec<T> {}

impl<T: Copy> PageVec<T> {
    /// An empty list, which maps nothing.
    pub(crate) const fn new() -> Self {
        Self { elements: ptr::null_mut(), len: 0, mapped: 0 }
    }

    /// The elements.
    pub(crate) fn as_slice(&self) -> &[T] {
        if self.elements.is_null() {
            return &[];
        }
        // SAFETY: `len` elements were written, and nothing else refers to the memory.
        unsafe { slice::from_raw_parts(self.elements, self.len) }
    }

    /// The elements, to change.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        if self.elements.is_null() {
            return &mut [];
        }
        // SAFETY: as above, and `self` is borrowed for as long.
        unsafe { slice::from_raw_parts_mut(self.elements, self.len) }
    }

    /// Forgets all elements and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Keeps the first `len` elements.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds `value`.
    ///
    /// # Errors
    /// ENOMEM where there is no memory; the list is as before.
    pub(crate) fn push(&mut self, value: T) -> Result<(), Errno> {
        if (self.len + 1).saturating_mul(size_of::<T>()) > self.mapped {
            self.grow()?;
        }
        // SAFETY: `grow` has made room for an element behind the last.
        let end = unsafe { self.elements.add(self.len) };
        // SAFETY: the room is mapped, aligned (pages are), and holds nothing to drop.
        unsafe { end.write(value) };
        self.len += 1;
        Ok(())
    }

    fn grow(&mut self) -> Result<(), Errno> {
        let bytes = self.mapped.saturating_mul(2).max(FIRST_BYTES).max(size_of::<T>());
        let elements = map_anonymous(bytes)?.cast::<T>();
        if !self.elements.is_null() {
            // SAFETY: both are mapped for `len` elements, and the new one is fresh.
            unsafe { ptr::copy_nonoverlapping(self.elements, elements, self.len) };
            // SAFETY: the mapping is this list's, which lets go of it here.
            unsafe { unmap(self.elements.cast(), self.mapped) };
        }
        self.elements = elements;
        self.mapped = bytes;
        Ok(())
    }
}

impl<T: Copy> Drop for PageVec<T> {
    fn drop(&mut self) {
        if !self.elements.is_null() {
            // SAFETY: the mapping is this list's, and the list ends.
            unsafe { unmap(self.elements.cast(), self.mapped) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_keeps() {
        let mut list = PageVec::new();
        assert_eq!(list.as_slice(), &[] as &[u64]);
        // Both make it grow: it has room for 2,048 at first.
        let count = if cfg!(miri) { 3_000 } else { 10_000u64 };
        for value in 0..count {
            list.push(value).unwrap();
        }
        assert!(list.as_slice().iter().copied().eq(0..count));
        list.as_mut_slice()[3] = 7;
        list.truncate(4);
        assert_eq!(list.as_slice(), [0, 1, 2, 7]);
        list.clear();
        assert_eq!(list.as_slice(), &[] as &[u64]);
        list.push(9).unwrap();
        assert_eq!(list.as_slice(), [9]);
    }
}
