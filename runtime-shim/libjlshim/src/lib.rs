//! libjlshim, for programs in C and C++: the functions of `include/jlctl/jump_label.h` are
//! those of `jlctl-shim`'s feature `capi`.
#![cfg_attr(not(feature = "std"), no_std)]

// What is exported comes from there; without a use it would not be linked.
pub use jlctl_shim::capi;

/// Nothing in the library panics; the language demands a handler all the same.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
