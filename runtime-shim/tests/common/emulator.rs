//! Detects a user-mode emulator, which does not emulate everything that a kernel provides.
//!
//! qemu-user translates paths below `/proc/self` but not below `/proc/thread-self`.  For a kernel
//! both are the same: if they name different executables, an emulator runs this program.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{env, fs};

/// The emulator that runs this program.
#[derive(Debug)]
pub(crate) struct Emulator {
    /// Its executable.
    pub(crate) program: PathBuf,
    /// Its own arguments, before those of the program.
    pub(crate) options: Vec<OsString>,
}

/// The emulator, if there is one.
pub(crate) fn emulator() -> Option<Emulator> {
    let own = fs::read_link("/proc/self/exe").expect("/proc is mounted");
    let program = fs::read_link("/proc/thread-self/exe").expect("/proc is mounted");
    if own == program {
        return None;
    }
    let is_qemu = program.file_name().is_some_and(|name| name.as_bytes().starts_with(b"qemu-"));
    assert!(is_qemu, "{} runs {}", program.display(), own.display());
    let line = fs::read("/proc/thread-self/cmdline").expect("/proc is mounted");
    let own = env::args_os().next().expect("a name");
    let arguments = line.split(|byte| *byte == 0).skip(1).map(OsStr::from_bytes);
    let options = arguments.take_while(|argument| **argument != own).map(OsStr::to_owned);
    Some(Emulator { program, options: options.collect() })
}

/// The variable by which the harness states that the whole machine is emulated, which a program
/// cannot detect.
const MACHINE: &str = "JLSHIM_TEST_EMULATED_MACHINE";

/// Whether this program runs in an emulated machine, under a real kernel.
pub(crate) fn is_machine_emulated() -> bool {
    env::var_os(MACHINE).is_some_and(|value| value == "1")
}

/// A number of repetitions: `natively`, or `emulated` where each takes a thousand times as long.
pub(crate) fn rounds<T>(natively: T, emulated: T) -> T {
    if is_machine_emulated() || emulator().is_some() { emulated } else { natively }
}

/// Whether the test leaves out `what`, which a user-mode emulator does not support.  Prints a
/// message if so.
pub(crate) fn leaves_out(what: &str) -> bool {
    let found = emulator();
    if let Some(emulator) = &found {
        println!("left out under {}: {what}", emulator.program.display());
    }
    found.is_some()
}
