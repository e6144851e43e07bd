//! Runs static arm64 programs in a virtual machine: four CPUs that QEMU emulates, a real Debian
//! kernel, and an init process (the package `jlctl-guest`).
//!
//! [`Machine::run`] boots once for all [`Program`]s. Each program has `/proc`, `/sys`, `/dev`,
//! `/tmp` and a time limit. The guest reports output and exit status through a separate serial
//! port, and the host kills the machine at its time limit.
//!
//! # Tests in the guest
//!
//! `cargo test -p jlctl-vm --test vm` builds test programs for the guest ([`tests`]), runs them
//! there, one test at a time, and reports each of them as a test. To add
//!
//! * a test of the machine itself: write a `#[test]` in `testdata/vm/guest/tests/machine/`;
//! * the tests of a package: add a line to `SUITES` in `testdata/vm/tests/vm/main.rs`. The
//!   guest has the programs of the package under the paths at which cargo built them, and the
//!   files that the line names; it has no other programs;
//! * any other program: pass its path to [`Machine::run`], or run it with `cargo run -p
//!   jlctl-vm -- PROGRAM`.
//!
//! All tests share one boot, so `cargo test` runs them: nextest starts a process for each test,
//! and would boot for each.
//!
//! # Limits
//!
//! The emulator detects every write to code: a test that passes does not prove that cache
//! maintenance and barriers are complete.
//!
//! The emulator can miss a write while another CPU translates the same code: it keeps the
//! translation of the old code until the next write to that code (seen with QEMU 7.2). Tests in
//! which some CPUs execute code that another CPU patches write the code again (`refetch` in
//! `runtime-shim/tests/common/`).

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
