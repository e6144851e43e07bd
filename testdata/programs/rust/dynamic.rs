//! A dynamically linked library in Rust that contains the runtime.

use jlctl_shim::{Applied, Error, define_static_key_false, static_branch_unlikely};

define_static_key_false!(static LIBRARY);

/// A site of this library.
#[inline(never)]
#[must_use]
pub fn library_is_on() -> bool {
    static_branch_unlikely!(LIBRARY)
}

/// Flips its key.
///
/// # Errors
/// If the key cannot be flipped.
pub fn enable_library() -> Result<Applied, Error> {
    LIBRARY.enable()
}
