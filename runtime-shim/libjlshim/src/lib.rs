//! libjlshim, the runtime for programs in C and C++: it exports the functions of
//! `include/jlctl/jump_label.h`, which the feature `capi` of `jlctl-shim` defines.
//!
//! The library is a package of its own, so that a Rust program that depends on `jlctl-shim`
//! exports no C functions.  Built without `std` it has about 70 KB.
#![cfg_attr(not(feature = "std"), no_std)]

// The exported functions are defined there; without this use they would not be linked.
pub use jlctl_shim::capi;

/// No code of the library panics, but the language requires a handler.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
