//! A vector that maps its own pages, for code that must not call an allocator: it runs in
//! constructors, in signal handlers, and in processes that replace the allocator.

#![allow(unsafe_code, reason = "elements of mapped memory")]

use super::errno::Errno;
use super::memory::{map_anonymous, unmap};
use core::{ptr, slice};

/// A vector of `Copy` values.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PageVec<T: Copy> {
    elements: *mut T,
    len: usize,
    /// Length of the mapping in bytes.
    mapped: usize,
}

/// Length of the first mapping in bytes; most vectors stay small.
const FIRST_BYTES: usize = 1 << 14;

// SAFETY: the vector owns its memory, as a Vec does.
unsafe impl<T: Copy + Send> Send for PageVec<T> {}

impl<T: Copy> PageVec<T> {
    /// An empty vector, without a mapping.
    pub(crate) const fn new() -> Self {
        Self { elements: ptr::null_mut(), len: 0, mapped: 0 }
    }

    /// The elements.
    pub(crate) fn as_slice(&self) -> &[T] {
        if self.elements.is_null() {
            return &[];
        }
        // SAFETY: `len` elements are initialised, and nothing else refers to the memory.
        unsafe { slice::from_raw_parts(self.elements, self.len) }
    }

    /// The elements, mutable.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        if self.elements.is_null() {
            return &mut [];
        }
        // SAFETY: as above, and `self` is borrowed for the lifetime of the result.
        unsafe { slice::from_raw_parts_mut(self.elements, self.len) }
    }

    /// Removes all elements and keeps the mapping.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Keeps the first `len` elements.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Appends `value`.
    ///
    /// # Errors
    /// ENOMEM if no memory is left; the vector is unchanged.
    pub(crate) fn push(&mut self, value: T) -> Result<(), Errno> {
        if (self.len + 1).saturating_mul(size_of::<T>()) > self.mapped {
            self.grow()?;
        }
        // SAFETY: the mapping has room for an element after the last one.
        let end = unsafe { self.elements.add(self.len) };
        // SAFETY: the room is mapped and aligned (to a page), and holds no value to drop.
        unsafe { end.write(value) };
        self.len += 1;
        Ok(())
    }

    fn grow(&mut self) -> Result<(), Errno> {
        let bytes = self.mapped.saturating_mul(2).max(FIRST_BYTES).max(size_of::<T>());
        let elements = map_anonymous(bytes)?.cast::<T>();
        if !self.elements.is_null() {
            // SAFETY: both mappings have room for `len` elements and do not overlap.
            unsafe { ptr::copy_nonoverlapping(self.elements, elements, self.len) };
            // SAFETY: the vector owns the mapping and no longer uses it.
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
            // SAFETY: the vector owns the mapping, and ends here.
            unsafe { unmap(self.elements.cast(), self.mapped) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_survive_growth() {
        let mut list = PageVec::new();
        assert_eq!(list.as_slice(), &[] as &[u64]);
        // The first mapping has room for 2,048.
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
