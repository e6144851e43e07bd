//! Text in an array, for code that must not allocate, and paths from the environment.

use core::ffi::CStr;
use core::fmt::{self, Write};

/// Text of at most `N` bytes; bytes that do not fit are dropped.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// The most bytes that the text can have.
    pub(crate) const CAPACITY: usize = N;

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

/// Writes `path` and its NUL to `name`, with the id `process` for each `%p`.  Returns whether
/// `path` contains a `%p`.
pub(crate) fn expand<const N: usize>(path: &CStr, process: u32, name: &mut Text<N>) -> bool {
    let mut is_expanded = false;
    let mut rest = path.to_bytes_with_nul();
    while let [first, after @ ..] = rest {
        if let Some(after) = rest.strip_prefix(b"%p") {
            is_expanded = true;
            let _ = write!(name, "{process}");
            rest = after;
        } else {
            name.push(*first);
            rest = after;
        }
    }
    is_expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_p_is_replaced_by_the_process_id() {
        let mut name = Text::<64>::new();
        assert!(expand(c"/tmp/%p.%p-%x", 42, &mut name));
        assert_eq!(name.bytes(), b"/tmp/42.42-%x\0");
        let mut name = Text::<64>::new();
        assert!(!expand(c"/tmp/report", 42, &mut name));
        assert_eq!(name.bytes(), b"/tmp/report\0");
        let mut name = Text::<4>::new();
        expand(c"/tmp/report", 42, &mut name);
        assert!(CStr::from_bytes_with_nul(name.bytes()).is_err(), "truncated, and so not usable");
    }
}
