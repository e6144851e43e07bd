//! The plug-in of `plugin.h` in Rust: with a separate table and runtime.

use jlctl_shim::{
    Batch, define_static_key_false, define_static_key_true, static_branch_likely,
    static_branch_unlikely,
};
use std::ffi::c_int;

define_static_key_false!(static PLUGIN_OFF);
define_static_key_true!(static PLUGIN_ON);
define_static_key_true!(static EARLY);

/// `struct plugin`.
#[repr(C)]
pub struct Plugin {
    number: c_int,
    value: extern "C" fn() -> c_int,
    flip: extern "C" fn(c_int) -> c_int,
}

#[inline(never)]
extern "C" fn plugin_value() -> c_int {
    c_int::from(static_branch_unlikely!(PLUGIN_OFF))
        + 10 * c_int::from(static_branch_likely!(PLUGIN_ON))
        + 100 * c_int::from(static_branch_likely!(EARLY))
}

extern "C" fn plugin_flip(on: c_int) -> c_int {
    let batch = if on != 0 {
        Batch::new().enable(&PLUGIN_OFF).disable(&PLUGIN_ON)
    } else {
        Batch::new().disable(&PLUGIN_OFF).enable(&PLUGIN_ON)
    };
    batch.apply().map_or_else(|error| -error.errno().0, |_| 0)
}

/// Exported under the name that the host uses.
#[unsafe(export_name = "plugin")]
pub static PLUGIN: Plugin = Plugin { number: NUMBER, value: plugin_value, flip: plugin_flip };

#[cfg(feature = "second")]
const NUMBER: c_int = 2;
#[cfg(not(feature = "second"))]
const NUMBER: c_int = 1;
