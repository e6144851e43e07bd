//! Kallsyms: the symbol table that a kernel carries in itself, recovered from its
//! bytes alone.
//!
//! With CONFIG_KALLSYMS a kernel has a handful of tables in `.rodata`, without
//! any header (scripts/kallsyms.c makes them, kernel/kallsyms.c reads them).
//! They are found by their structure, each one being checked against the
//! others: `tokens` prove themselves, `markers` prove the `names`, whose
//! number says where `addresses` and `sequence` must be.  Nothing depends on
//! the version that an image states.
//!
//! What is not in the bytes may be what the addresses are relative to; `rela`
//! recovers that.
//!
//! 32-bit kernels are not read.

mod addresses;
mod base;
mod bytes;
mod error;
mod markers;
mod names;
mod rela;
mod sequence;
mod tables;
mod tokens;

pub use addresses::AddressEncoding;
pub use base::AddressBase;
pub use bytes::FlatImage;
pub use error::KallsymsError;
pub(super) use rela::relative_relocations;
pub use tables::{Kallsyms, KallsymsLayout, KallsymsSymbol};
