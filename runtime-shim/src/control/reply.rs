//! Text that is sent when all of it is there, so that nobody waits for a client under a lock.

use crate::page_vec::PageVec;
use core::fmt::{self, Write};

/// The lines of a reply.
pub(super) struct Reply(PageVec<u8>);

impl Reply {
    pub(super) const fn new() -> Self {
        Self(PageVec::new())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds `bytes` as far as they are printable; they stand between others that are.
    pub(super) fn push_printable(&mut self, bytes: &[u8]) -> fmt::Result {
        let printable = |byte: &u8| if byte.is_ascii_control() { b'?' } else { *byte };
        bytes.iter().map(printable).try_for_each(|byte| self.0.push(byte)).map_err(|_| fmt::Error)
    }
}

impl Write for Reply {
    /// An error says that there is no memory.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.0.push(byte)).map_err(|_| fmt::Error)
    }
}
