//! Images that are wrong in one respect each, so that every diagnostic of a reader has an
//! image. All variants but those of headers and modules hold the same kernel: `broken_fn` and
//! `other_fn` of 16 instructions each, the keys `broken_key` (false) and `other_key` (true),
//! and one sound site at `other_fn+0x10`.

mod base;
pub mod debug;
pub mod flat;
pub mod headers;
pub mod modules;
pub mod sites;
pub mod table;

pub use base::{Named, base, with_site};

/// Every broken image, for tests that only require a reader not to crash.
#[must_use]
pub fn all() -> Vec<Named> {
    [sites::all(), table::all(), headers::all(), debug::all(), modules::all(), flat::all()].concat()
}
