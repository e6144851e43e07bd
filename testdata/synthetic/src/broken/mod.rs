//! Images that are wrong in one respect each, so that every diagnostic of a
//! reader has an image.  All but the headers' and modules' variants hold the same kernel:
//! `broken_fn` and `other_fn` of 16 instructions each, the keys `broken_key`
//! (false) and `other_key` (true), and one sound site at `other_fn+0x10`.

pub mod debug;
pub mod flat;
pub mod headers;
pub mod modules;
pub mod sites;
pub mod table;

use crate::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};

/// An image and the name of the function that makes it.
pub type Named = (&'static str, Vec<u8>);

/// The sound kernel that the variants damage.
#[must_use]
pub fn base() -> ImageSpec {
    ImageSpec::kernel()
        .key(KeySpec::new("broken_key"))
        .key(KeySpec::new("other_key").initially_true())
        .function(FunctionSpec::new("broken_fn", "kernel/broken.c", 16).at_line(10))
        .function(FunctionSpec::new("other_fn", "kernel/broken.c", 16).at_line(40))
        .site(SiteSpec::new("other_fn+0x10", "other_fn+0x20", "other_key").likely())
}

/// The sound kernel with one more site.
#[must_use]
pub fn with_site(site: SiteSpec) -> ImageSpec {
    base().site(site)
}

/// Every broken image, for tests that demand only that a reader survives.
#[must_use]
pub fn all() -> Vec<Named> {
    [sites::all(), table::all(), headers::all(), debug::all(), modules::all(), flat::all()].concat()
}
