//! The properties of the virtual machine that the runtime shim relies on: Linux on four arm64
//! CPUs.
//!
//! The kernel is 5.10 or newer. Under QEMU's translation all CPUs observe every change of code
//! at once, with or without synchronisation: these tests show that the interfaces work, not
//! that a missing barrier would be found.
#![cfg(all(target_arch = "aarch64", target_os = "linux"))]
#![expect(unsafe_code, reason = "they call the kernel, and change code")]

mod code;
mod cpus;
mod membarrier;
