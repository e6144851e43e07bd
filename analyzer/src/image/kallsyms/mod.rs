//! Kallsyms: the symbol table that a kernel contains, recovered from its bytes alone.
//!
//! With CONFIG_KALLSYMS a kernel has several tables in `.rodata`, without any header
//! (scripts/kallsyms.c writes them, kernel/kallsyms.c reads them).  This module finds them by
//! their structure and checks each against the others: `tokens` confirm themselves, `markers`
//! confirm the `names`, and the number of names determines the location of `addresses` and
//! `sequence`.  Nothing depends on the version that an image states.
//!
//! The bytes may lack the base that the addresses are relative to; `rela` recovers it.
//!
//! 32-bit kernels are not supported.
//!
//! # Symbols from kallsyms have no sizes
//! Each symbol reaches to the next one, and no object can be identified by its size.  If
//! kallsyms lists only functions, keys in data have no names.

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
