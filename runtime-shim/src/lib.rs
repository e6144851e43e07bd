//! The jump-label ABI, its instruction encoders, and a runtime that flips static keys of a
//! program while its threads run.
//!
//! * [`abi`] says how a jump entry and a static key lie in memory and when a site must hold
//!   a branch; [`insn`] encodes the two instructions that a site may hold, for each
//!   architecture.  Every other crate of jlctl uses these definitions.
//! * With the feature `runtime` (the default), on Linux and aarch64, x86_64 or riscv64:
//!   [`define_static_key_false!`] and [`static_branch_unlikely!`] make a branch that costs
//!   one NOP while its key is off, and [`Batch`] flips any number of keys.
//!
//! # What a flip promises
//!
//! When [`Batch::apply`] or [`Key::enable`] returns `Ok`, the code of all sites is written,
//! this thread executes it, and with a [strict](SyncLevel::Strict) synchronisation so does
//! every other thread from then on: a thread that learns of it, through an acquire load of
//! something stored after the flip, does not execute the old side any more.  Until then
//! each thread executes the old or the new side of each site, and nothing else.
//!
//! When it returns `Err`, code and counts are as they were; the one error that other threads
//! may have noticed is [`Error::SyncFailed`].  There is no silent weaker synchronisation: where
//! none is strict, a flip is refused, unless a weaker one is [allowed](Allowed).
//!
//! # Threads, signals, forks
//!
//! Keys may be flipped from any thread; batches wait for each other.  During a batch the
//! thread handles no signal and is not cancelled.  In signal handlers use
//! [`Batch::try_apply`].  Fork handlers see to it that a child has no batch half done; a
//! child of `vfork`, whose code is its parent's, is [refused](Error::ForeignProcess).
//! A library with sites may be closed; the one that contains this runtime must not be while
//! another that uses it is open, which the dynamic linker sees to.
//!
//! The crate is `no_std`, allocates nothing but pages of its own, and depends on libc alone.
//!
//! # What is assumed
//!
//! The protections of code pages are read when they are first needed, and again when objects
//! come and go: a program that changes the protection of its own code in between gets the
//! one from before after the next flip.
#![no_std]
#![warn(missing_docs)]

pub mod abi;
pub mod insn;
mod link;

pub use link::{embed, note};

/// Declares the runtime's modules, which exist on the systems that it supports.
macro_rules! runtime {
    ($($item:item)*) => {
        $(#[cfg(all(
            feature = "runtime",
            target_os = "linux",
            any(target_arch = "aarch64", target_arch = "x86_64", target_arch = "riscv64")
        ))]
        $item)*
    };
}

runtime! {
    mod batch;
    #[cfg(feature = "capi")]
    pub mod capi;
    mod control;
    mod error;
    mod key;
    mod macros;
    mod names;
    pub mod object;
    mod patching;
    mod process;
    mod report;
    mod sync;
    mod sys;

    pub use batch::{Batch, sync_level};
    pub use error::{Error, WritePolicy};
    pub use key::{Key, Op, StaticKeyFalse, StaticKeyTrue, TypedKey};
    #[doc(hidden)]
    pub use macros::starts_as_jump;
    pub use patching::apply::Applied;
    pub use patching::record::{Counts, Uncovered, UncoveredPatch};
    pub use patching::table::Object;
    pub use patching::transform;
    #[doc(hidden)]
    pub use process::{attach, detach, finish};
    pub use report::{report, uncovered};
    pub use sync::{Allowed, Method, Refusal, SyncLevel, allow, forbid_membarrier};
    pub use sys::errno::Errno;
}

/// The examples of the guide, which are compiled and run with those of the documentation.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../../man/src/jlctl-guide.7.md")]
struct Guide;
