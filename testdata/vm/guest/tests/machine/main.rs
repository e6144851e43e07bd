//! What the runtime shim relies on, and what the virtual machine is: facts about a Linux
//! machine with four arm64 CPUs.
//!
//! The kernel's side is 5.10 or newer. Under QEMU's translation all CPUs see every change
//! of code at once, whatever is or is not done for it: these tests show that the ways are
//! there, not that a forgotten barrier would be noticed.
#![cfg(all(target_arch = "aarch64", target_os = "linux"))]
#![expect(unsafe_code, reason = "they call the kernel, and change code")]

mod code;
mod cpus;
mod membarrier;
