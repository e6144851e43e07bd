//! The images that a plan is made for or checked against, read.

use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::{JumpTable, KeyDescriptions};

/// One image with what was read of it.
#[derive(Debug, Clone, Copy)]
pub struct ReadImage<'a> {
    /// The file that it is in.
    pub file: &'a ImageFile,
    /// The image.
    pub image: &'a Image<'a>,
    /// Its jump table; `None` if it has none, as many modules do.
    pub table: Option<&'a JumpTable<'a>>,
    /// What its keys are called.
    pub keys: &'a KeyDescriptions,
}

impl ReadImage<'_> {
    /// Whether the file ends in the marker of a module's signature, sound or not:
    /// a kernel looks for nothing else (`kernel/module/signing.c`, Linux 6.12).
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !matches!(self.file.signature(), Ok(None))
    }

    /// Whether the image lies in the file as it is, not inside a container.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.file.layers().is_empty()
    }
}
