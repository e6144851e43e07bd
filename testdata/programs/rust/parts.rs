//! A crate with keys and sites that another crate uses.

use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};

define_static_key_false!(
    /// Initially off.
    pub static PARTS_OFF
);
define_static_key_true!(pub static PARTS_ON);

/// A site of this crate.
#[inline(never)]
pub fn parts_off() -> bool {
    static_branch_unlikely!(PARTS_OFF)
}

/// A site of this crate.
#[inline(never)]
pub fn parts_on() -> bool {
    static_branch_likely!(PARTS_ON)
}

/// A site in each function that it is inlined into.
#[inline(always)]
#[must_use]
pub fn inlined() -> bool {
    static_branch_unlikely!(PARTS_ON)
}

/// A site of the crate that names `N`.
#[inline(never)]
#[must_use]
pub fn generic<const N: u32>() -> u32 {
    if static_branch_likely!(PARTS_OFF) { N } else { 0 }
}
