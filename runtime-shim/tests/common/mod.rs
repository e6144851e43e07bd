//! Code that the tests of the runtime share.

#![allow(dead_code, reason = "other test programs include a part of it")]
#![allow(unsafe_code, reason = "processes, code and system calls")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "addresses of 64 bits"
)]

pub(crate) mod arena;
pub(crate) mod child;
pub(crate) mod elf;
pub(crate) mod emulator;
pub(crate) mod filter;
pub(crate) mod memory;
pub(crate) mod over;
pub(crate) mod refetch;
pub(crate) mod rerun;
pub(crate) mod served;
pub(crate) mod sites;
pub(crate) mod snapshot;
