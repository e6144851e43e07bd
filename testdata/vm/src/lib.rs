//! Runs static arm64 programs in a virtual machine: four CPUs that QEMU emulates, a real
//! Debian kernel, and nothing else but an init of our own (the package `jlctl-guest`).
//!
//! [`Machine::run`] boots once for all [`Program`]s. They get `/proc`, `/sys`, `/dev`,
//! `/tmp`, and a limit each; the guest tells through a serial port of its own what they
//! print and how they end, and the host kills the machine when its time is over.
//!
//! # Tests in the guest
//!
//! `cargo test -p jlctl-vm --test vm` builds test programs for the
//! guest ([`tests`]), runs them there, one test at a time, and reports each of their tests
//! as one of its own. To add
//!
//! * a test of the machine itself: write a `#[test]` in `testdata/vm/guest/tests/machine/`;
//! * the tests of a package: add a line to `SUITES` in `testdata/vm/tests/vm/main.rs`. They
//!   find the programs of their package where cargo has built them, and the files that the
//!   line names; no other programs are there;
//! * any other program: give [`Machine::run`] its path, or try it by hand with
//!   `cargo run -p jlctl-vm -- PROGRAM`.
//!
//! All tests share one boot, so they are run by `cargo test`: nextest has a process for
//! each test, and would boot for each.
//!
//! # What it does not show
//!
//! The emulator notices every write to code by itself: a test that passes here says nothing
//! about missing cache maintenance or barriers.
//!
//! What it does not always notice is a write while another CPU translates the same code: that
//! translation is kept, and is of the old code for as long as nothing else is written there
//! (seen with QEMU 7.2). Tests in which some CPUs execute what another patches write it once
//! more (`refetch` in `runtime-shim/tests/common/`).

mod build;
mod console;
mod cpio;
pub mod emulator;
mod error;
mod initramfs;
pub mod libtest;
mod machine;
mod program;
#[cfg(test)]
mod protocol;
mod results;

pub use build::{Built, ListedTest, Suite, Target, TestProgram, init, list, tests};
pub use error::VmError;
pub use jlctl_guest::{Ending, Record, Stream};
pub use machine::{Boot, Machine, Up};
pub use program::{Program, Run};
