//! The runtime shim as `jlctl link` puts it into a static program: one image that needs no C
//! library, no dynamic linker and no thread-local storage.
//!
//! The kernel enters it instead of the program (`entry`), with the program's own stack.  It
//! makes its data writable, relocates itself, flips what the environment wants, writes the
//! report if one is wanted, and goes on to the program's entry, as if the kernel had gone there.
//! No thread of its own, and no handler of forks, is left behind: nobody flips a key through it
//! later, so that a child made by fork has nothing half done.
#![cfg_attr(feature = "freestanding", no_std)]

#[cfg(feature = "freestanding")]
mod config;
#[cfg(feature = "freestanding")]
mod entry;
#[cfg(feature = "freestanding")]
mod libc_functions;
#[cfg(feature = "freestanding")]
mod memory;
#[cfg(feature = "freestanding")]
mod process;
#[cfg(feature = "freestanding")]
mod system_call;

/// Nothing panics; the language demands a handler all the same.
#[cfg(feature = "freestanding")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
