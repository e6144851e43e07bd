//! Descriptors of dynamic debug: the message that a key turns on, and its position in the
//! source.
//!
//! `struct _ddebug` (Linux 4.19, 5.10, 6.1 and 6.12 `include/linux/dynamic_debug.h`) has four
//! pointers, a word of bit fields, and the union of keys.  The versions differ only in the bits
//! after the line number, where 6.1 added a class of six bits.

use crate::addr::{AddrRange, Svma};
use crate::image::Image;
use std::borrow::Cow;

/// Bytes from a descriptor to its key, on LP64.
pub const KEY_OFFSET: u64 = 40;
/// Bytes from a descriptor to the word with the line number.
const LINE_OFFSET: usize = 32;
/// Bits of the line number, the first bit field of its word.
const LINE_BITS: u32 = 18;
const POINTER: usize = 8;
/// Length of the longest string in bytes; the kernel truncates messages at 1 KiB.
const LONGEST: u64 = 4096;

/// A `pr_debug()`, or another macro of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdebugSite<'data> {
    /// Name of the module, or for built-in code the name that a module of it would have.
    pub module: Cow<'data, str>,
    /// The function that contains it.
    pub function: Cow<'data, str>,
    /// The source file, as passed to the compiler.
    pub file: Cow<'data, str>,
    /// The line, from 1.
    pub line: u32,
    /// The format of the message.
    pub format: Cow<'data, str>,
}

impl<'data> DdebugSite<'data> {
    /// Reads the descriptor whose key is at `key`; `None` if the image has no bytes there, or
    /// if one of the pointers does not lead to a string.
    #[must_use]
    pub fn of_key(image: &Image<'data>, key: Svma) -> Option<Self> {
        let start = Svma(key.0.checked_sub(KEY_OFFSET)?);
        let descriptor = image.read_relocated(AddrRange::sized(start, KEY_OFFSET)).ok()?.bytes;
        let string = |index: usize| {
            let pointer = image.u64_from(descriptor.get(index * POINTER..)?)?;
            string_at(image, Svma(pointer))
        };
        let word = image.u32_from(descriptor.get(LINE_OFFSET..)?)?;
        Some(Self {
            module: string(0)?,
            function: string(1)?,
            file: string(2)?,
            format: string(3)?,
            line: line_of(word, image.is_big_endian()),
        })
    }
}

/// The first bit field of a word: the low bits or, with big-endian data, the high bits.
fn line_of(word: u32, big_endian: bool) -> u32 {
    if big_endian { word >> (u32::BITS - LINE_BITS) } else { word & ((1 << LINE_BITS) - 1) }
}

/// The string at `address` up to its NUL.
fn string_at<'data>(image: &Image<'data>, address: Svma) -> Option<Cow<'data, str>> {
    let bytes = image.read_up_to(address, LONGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes[..memchr::memchr(0, bytes)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_first_bit_field() {
        // Line 0x2a5f3 with a class of 63 (its default) and the flag "print".
        assert_eq!(line_of(0x01fe_a5f3, false), 0x2_a5f3);
        assert_eq!(line_of(0x2_a5f3 << 14 | 0x3f << 8 | 1, true), 0x2_a5f3);
    }
}
