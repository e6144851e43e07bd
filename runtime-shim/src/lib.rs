//! The jump-label ABI, its instruction encoders, and a runtime that flips the static keys of a
//! program while its threads run.
//!
//! * [`abi`] defines the layout of a jump entry and of a static key, and which instruction a
//!   site must hold; [`insn`] encodes the two instructions that a site may hold, for each
//!   architecture.  Every other crate of jlctl uses these definitions.
//! * [`note`] and [`embed`] define the records that `jlctl link` writes into a finished program
//!   for the runtime.
//! * With the feature `runtime` (the default), on Linux and aarch64, x86_64 or riscv64:
//!   [`define_static_key_false!`] and [`static_branch_unlikely!`] make a branch that costs
//!   one NOP while its key is off, and [`Batch`] flips any number of keys.
//!
//! # What a flip guarantees
//!
//! When [`Batch::apply`] or [`Key::enable`] returns `Ok`, the code of all sites is written and
//! the calling thread executes it.  If the synchronisation is [strict](SyncLevel::Strict), every
//! other thread that learns of the flip executes the new code as well: a thread that observes,
//! through an acquire load, a value stored after the flip no longer executes the old side.  Until
//! then each thread executes the old or the new side of each site, and nothing else.
//!
//! When it returns `Err`, code and counts are unchanged.  Other threads may have noticed one
//! error only, [`Error::SyncFailed`].  A flip never falls back to a weaker synchronisation in
//! silence: where no strict synchronisation is available, the flip is refused unless the program
//! [allows](Allowed) a weaker one.
//!
//! # Threads, signals, forks
//!
//! Any thread may flip keys; batches wait for each other.  During a batch its thread handles no
//! signal and cannot be cancelled.  In signal handlers use [`Batch::try_apply`], which does not
//! wait.  Fork handlers ensure that a child process never inherits a partial batch.  A child of
//! `vfork`, which shares its parent's code, is [refused](Error::ForeignProcess).
//!
//! A library with sites may be closed at any time.  The library that contains this runtime must
//! stay open as long as another object uses it, which the dynamic linker ensures.
//!
//! # Memory
//!
//! The crate is `no_std` and depends on libc alone.  The runtime runs in constructors, in signal
//! handlers and in processes that have an allocator of their own, so it allocates whole pages and
//! nothing else, and links the tables of objects through the objects' own memory.  No function
//! enters code that takes a lock of the C library, except the first batch, which registers fork
//! handlers, the control socket, and the report at exit.
//!
//! # Assumption
//!
//! The protections of code pages are read when they are first needed, and again after objects
//! have been loaded or unloaded.  If a program changes the protection of its own code in between,
//! the next flip restores the earlier protection.
#![no_std]
#![warn(missing_docs)]

pub mod abi;
pub mod insn;
mod link;

pub use link::{embed, note};

#[cfg(all(
    feature = "runtime",
    target_os = "linux",
    any(target_arch = "aarch64", target_arch = "x86_64", target_arch = "riscv64")
))]
mod runtime;

#[cfg(all(
    feature = "runtime",
    target_os = "linux",
    any(target_arch = "aarch64", target_arch = "x86_64", target_arch = "riscv64")
))]
pub use runtime::*;

/// The examples of the guide, which are compiled and run with those of the documentation.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../../man/src/jlctl-guide.7.md")]
struct Guide;
