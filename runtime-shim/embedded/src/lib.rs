//! The runtime shim that `jlctl link` embeds in a static program: one image that needs no C
//! library, no dynamic linker and no thread-local storage.
//!
//! The kernel enters the image instead of the program (`entry`), with the program's stack.  The
//! image makes its data writable, relocates itself, flips the keys that the environment names,
//! writes the report if requested, and jumps to the program's entry, with registers and stack as
//! the kernel set them up.  It makes its data writable itself so that no segment of the file is
//! writable and executable, and one program header suffices: most static programs have no room
//! for more.
//!
//! `e_entry` is the hook because every program has it, a stripped one too, and because
//! environment and auxiliary vector are on the stack there.  A constructor is not possible: the
//! bounds of the init array are constants in the code of a static program.
//!
//! The image leaves no thread and no fork handler.  The program's C library does not know of such
//! a thread, and could not drop its privileges.  So there is no control socket, and the only
//! report is that of the start.  No key is flipped later, so that the child of a fork
//! inherits no partial batch.
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

/// No code panics, but the language requires a handler.
#[cfg(feature = "freestanding")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
