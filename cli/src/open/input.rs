//! One file of the command line, opened: unpacked, with its separate debug file.

use crate::open::files::{Candidate, Member};
use crate::terminal::exit::{Kind, failure};
use crate::terminal::progress::Progress;
use anyhow::Context as _;
use jlctl_analyzer::addr::FileOffset;
use jlctl_analyzer::debug_info::{DebugFile, find_debug_file};
use jlctl_analyzer::image::container::Limits;
use jlctl_analyzer::image::{Image, ImageError, ImageFile, MemberContent};
use std::path::{Path, PathBuf};

/// One file with an image, and its separate debug file.
pub(crate) struct Input {
    file: ImageFile,
    has_own_debug: bool,
    separate: Option<DebugFile>,
}

impl Input {
    /// Opens the file at `path`; looks for a debug file below `debug_dirs` if
    /// it lacks debug information or symbols.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn open(
        path: &Path,
        debug_dirs: &[PathBuf],
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        Self::open_edited(path, &[], debug_dirs, progress)
    }

    /// Opens a file of the command line, or the member of an archive.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn open_candidate(
        candidate: &Candidate,
        debug_dirs: &[PathBuf],
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let range = match &candidate.member {
            None => return Self::open(&candidate.path, debug_dirs, progress),
            Some(Member::Damaged(fault)) => {
                return Err(failure(Kind::Input, format!("{}: {fault}", candidate.name())));
            }
            Some(Member::Sound(member)) => match &member.content {
                MemberContent::File(path) => return Self::open(path, debug_dirs, progress),
                MemberContent::Inside(range) => range.clone(),
            },
        };
        let file = ImageFile::open_member(&candidate.path, range)?;
        let sections = Image::parse_sections(file.bytes()).with_context(|| candidate.name())?;
        let has_own_debug = sections.named(".debug_info").is_some();
        Ok(Self { file, has_own_debug, separate: None })
    }

    /// As [`Self::open`], with `edits` in place of the bytes of the file: pairs of file offset and
    /// bytes.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn open_edited(
        path: &Path,
        edits: &[(FileOffset, &[u8])],
        debug_dirs: &[PathBuf],
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let open = |_: &(dyn Fn(usize) + Sync)| match edits {
            [] => ImageFile::open(path, Limits::default()),
            edits => ImageFile::open_edited(path, edits, Limits::default()),
        };
        let file = progress.phase("open the file", 1, open).map_err(|error| match error {
            // These errors name the file.
            ImageError::Io { .. } | ImageError::NotAFile { .. } => anyhow::Error::from(error),
            error => anyhow::Error::from(error).context(path.display().to_string()),
        })?;
        let sections =
            Image::parse_sections(file.bytes()).with_context(|| path.display().to_string())?;
        let has_own_debug = sections.named(".debug_info").is_some();
        let separate = if has_own_debug && sections.has_symbol_table() {
            None
        } else {
            find_debug_file(path, &sections, debug_dirs)
        };
        Ok(Self { file, has_own_debug, separate })
    }

    /// The file.
    pub(crate) fn file(&self) -> &ImageFile {
        &self.file
    }

    /// The path by which it was opened.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The image in the file, with the symbols of its debug file if it has no symbols.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn image(&self, progress: &Progress) -> anyhow::Result<Image<'_>> {
        let mut image = progress
            .phase("read the image", 1, |_| Image::parse(self.file.bytes()))
            .with_context(|| self.path().display().to_string())?;
        if let Some(debug) = &self.separate {
            image.adopt_symbols(debug.file.bytes());
        }
        if image.symbols().is_empty() {
            // A stripped program needs no symbols: its section locates the table.
            let _ = progress.phase("recover symbols", 1, |_| image.recover_symbols());
        }
        Ok(image)
    }

    /// The bytes of the file with the debug information, and its path.
    pub(crate) fn debug(&self) -> Option<(&[u8], &Path)> {
        if self.has_own_debug {
            return Some((self.file.bytes(), self.path()));
        }
        self.separate.as_ref().map(|debug| (debug.file.bytes(), debug.file.path()))
    }

    /// The separate debug file.
    pub(crate) fn debug_file(&self) -> Option<&Path> {
        self.separate.as_ref().map(|debug| debug.file.path())
    }
}

/// Whether `error` says that the file is not an image, but for example text.
pub(crate) fn is_no_image(error: &anyhow::Error) -> bool {
    let is_other = |error: &ImageError| {
        matches!(error, ImageError::NotElf { .. } | ImageError::NotAFile { .. })
    };
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_other))
}
