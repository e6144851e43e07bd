//! Why a program is not linked, or a link not taken out.

use crate::apply::{ApplyError, FailureClass};
use jlctl_analyzer::image::ImageError;
use jlctl_analyzer::jump_table::LocateError;
use std::path::{Path, PathBuf};

/// What keeps a program from being linked, apart from its path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Not a file that a program is started from or a library loaded from.
    #[error(
        "expected a 64-bit little-endian ELF executable or shared object for aarch64 or x86_64, found {0}"
    )]
    NotAProgram(String),
    /// A structure of the file is not where the file says, or not what it must be.
    #[error("the {what} is damaged: {found}; link the file as its linker wrote it")]
    Damaged {
        /// The structure.
        what: &'static str,
        /// What is wrong with it.
        found: String,
    },
    /// The runtime is in it or needed by it already.
    #[error("already linked with the runtime: {0}; its tables are registered without `jlctl link`")]
    AlreadyLinked(String),
    /// A signature or seal over the file would no longer hold.
    #[error("{0}: a linked copy would not be what was signed or sealed; link before that is done")]
    Signed(String),
    /// The file goes on where the ELF file ends.
    #[error(
        "{0} bytes follow the end of the ELF file, which a program finds from the end of its file; \
         what `jlctl link` appends would hide them"
    )]
    Appended(u64),
    /// No dynamic linker loads it, and none can replace a function of it.
    #[error(
        "a static program: no dynamic linker would put the runtime's __clear_cache in the place of \
         its own; link the program dynamically, or with libjlshim.a when it is built"
    )]
    Static,
    /// Entries of another layout than the kernel's.
    #[error(
        "the entries of its table are absolute (24 bytes): the runtime reads those of the kernel's \
         layout alone (16 bytes, relative to themselves)"
    )]
    Layout,
    /// The table has a defect that flips would run into.
    #[error("the table has an error, and flips would fail: {0}; see `jlctl inspect`")]
    Table(String),
    /// Another runtime has the table.
    #[error(
        "a program with the crate static-keys, which changes its table when the program starts and \
         flips its keys itself: two runtimes would write the same code; build the program with \
         jlctl-shim's macros instead"
    )]
    StaticKeys,
    /// Nothing names the table.
    #[error(
        "its table was found by its structure alone, which is too little to write code by: link the \
         program before its section headers are stripped"
    )]
    Unnamed,
    /// A function in the program that no library can take the place of.
    #[error(
        "the program has a __clear_cache of its own, out of libgcc.a or compiler-rt, and calls that: \
         link it with -shared-libgcc, so that --sync-icache can put the runtime's in its place"
    )]
    OwnClearCache,
    /// No room behind the program headers.
    #[error(
        "no room for {needed} more program headers: expected at least {needed_bytes:#x} bytes behind \
         them that can be moved elsewhere, found {found}"
    )]
    NoRoom {
        /// How many are needed.
        needed: usize,
        /// Bytes for them.
        needed_bytes: u64,
        /// What stands there.
        found: String,
    },
    /// There is nothing to take out.
    #[error("not linked by `jlctl link`: there is no note of it to take out")]
    NotLinked,
    /// The library cannot be the runtime of the program.
    #[error("{}: {why}; `runtime-shim/install PREFIX TARGET` builds it, `--shim` says where it is", path.display())]
    Shim {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Why a program was not linked, or a link not taken out; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The input is refused, or damaged.
    #[error("{}: {why}", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// Why.
        why: Why,
    },
    /// The input cannot be read as an image.
    #[error("{}: {why}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        why: ImageError,
    },
    /// There is no table in it.
    #[error("{}: {why}", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: LocateError,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Files(#[from] ApplyError),
}

impl LinkError {
    /// What kind of failure this is.
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
