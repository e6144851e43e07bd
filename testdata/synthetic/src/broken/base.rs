//! The sound kernel that every variant damages.

use crate::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};

/// An image and the name of the function that makes it.
pub type Named = (&'static str, Vec<u8>);

/// The sound kernel.
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
