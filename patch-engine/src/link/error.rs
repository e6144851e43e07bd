//! Why a program is not linked, or a link not taken out.

use crate::apply::{ApplyError, FailureClass};
use jlctl_analyzer::image::ImageError;
use jlctl_analyzer::jump_table::LocateError;
use std::path::{Path, PathBuf};

/// The reason, without the path of the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The file is neither an executable nor a shared object.
    #[error(
        "expected a 64-bit little-endian ELF executable or shared object for aarch64 or x86_64, found {0}"
    )]
    NotAProgram(String),
    /// A structure of the file is not where its headers say, or is inconsistent.
    #[error("the {what} is damaged: {found}; link the file as its linker wrote it")]
    Damaged {
        /// The structure.
        what: &'static str,
        /// The damage.
        found: String,
    },
    /// The program contains the runtime or needs it already.
    #[error("already linked with the runtime: {0}; its tables are registered without `jlctl link`")]
    AlreadyLinked(String),
    /// A signature or seal over the file would become invalid.
    #[error(
        "{0}: a linked copy would differ from the signed file; link the program before signing it"
    )]
    Signed(String),
    /// The file continues after the end of the ELF file.
    #[error(
        "{0} bytes follow the end of the ELF file, and programs look for such bytes at the end of the file; \
         the segment that `jlctl link` appends would hide them"
    )]
    Appended(u64),
    /// No dynamic linker loads the program, and no library can replace a function of it.
    #[error(
        "a static program: no dynamic linker would put the runtime's __clear_cache in the place of \
         its own; link the program dynamically, or with libjlshim.a when it is built"
    )]
    Static,
    /// The table's entries have another layout than the kernel's.
    #[error(
        "the entries of its table are absolute (24 bytes): the runtime reads those of the kernel's \
         layout alone (16 bytes, relative to themselves)"
    )]
    Layout,
    /// The table has a defect that would make flips fail.
    #[error("the table has an error that would make flips fail: {0}; see `jlctl inspect`")]
    Table(String),
    /// Another runtime owns the table.
    #[error(
        "a program with the crate static-keys, which changes its table when the program starts and \
         flips its keys itself: two runtimes would write the same code; build the program with \
         jlctl-shim's macros instead"
    )]
    StaticKeys,
    /// No symbol and no section names the table.
    #[error(
        "the table was found by its structure alone, which is too weak evidence to write code by: link \
         the program before its section headers are stripped"
    )]
    Unnamed,
    /// The program contains a function that no library can replace.
    #[error(
        "the program has a __clear_cache of its own, out of libgcc.a or compiler-rt, and calls that: \
         link it with -shared-libgcc, so that --sync-icache can put the runtime's in its place"
    )]
    OwnClearCache,
    /// There is no room after the program headers.
    #[error(
        "no room for {needed} more program headers: expected at least {needed_bytes:#x} bytes after \
         them that can be moved, found {found}"
    )]
    NoRoom {
        /// Number of program headers.
        needed: usize,
        /// Bytes of these program headers.
        needed_bytes: u64,
        /// The obstacle.
        found: String,
    },
    /// The program has no note of `jlctl link`.
    #[error("nothing to remove: jlctl did not link this file")]
    NotLinked,
    /// The library is not a runtime for the program.
    #[error("{}: {why}; `runtime-shim/install PREFIX TARGET` builds it, `--shim` names its directory", path.display())]
    Shim {
        /// The library.
        path: PathBuf,
        /// The defect.
        why: String,
    },
}

/// Why a program was not linked, or a link not taken out; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The program is refused or damaged.
    #[error("{}: {why}", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: Why,
    },
    /// The file cannot be read as an image.
    #[error("{}: {why}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: ImageError,
    },
    /// The program has no jump table.
    #[error("{}: {why}", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: LocateError,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Files(#[from] ApplyError),
}

impl LinkError {
    /// The kind of this failure.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Program { why: Why::NotAProgram(_) | Why::Damaged { .. }, .. }
            | Self::Image { .. } => FailureClass::Unreadable,
            Self::Program { .. } | Self::NoTable { .. } => FailureClass::Refused,
            Self::Files(error) => error.class(),
        }
    }

    pub(super) fn of(path: &Path, why: Why) -> Self {
        Self::Program { path: path.to_owned(), why }
    }
}

/// Damage of `what`.
pub(super) fn damaged(what: &'static str, found: impl Into<String>) -> Why {
    Why::Damaged { what, found: found.into() }
}
