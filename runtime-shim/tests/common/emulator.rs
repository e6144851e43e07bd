//! Whether a user-mode emulator runs this program, which cannot do everything that a kernel
//! does for it.
//!
//! qemu-user translates paths below `/proc/self`, and not those below `/proc/thread-self`,
//! which the kernel makes the same: where the two name different executables, there is one.

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

/// The variable by which the harness says that the whole machine is emulated, which a program
/// cannot see.
const MACHINE: &str = "JLSHIM_TEST_EMULATED_MACHINE";

/// Whether this program runs in an emulated machine, under a real kernel.
pub(crate) fn is_machine_emulated() -> bool {
    env::var_os(MACHINE).is_some_and(|value| value == "1")
}

/// How often something is done: `natively`, or as often as there is time for where it takes a
/// thousand times as long.
pub(crate) fn rounds<T>(natively: T, emulated: T) -> T {
    if is_machine_emulated() || emulator().is_some() { emulated } else { natively }
}

/// Whether `what` is left out, because an emulator cannot do it; says so.
pub(crate) fn leaves_out(what: &str) -> bool {
    let found = emulator();
    if let Some(emulator) = &found {
        println!("left out under {}: {what}", emulator.program.display());
    }
    found.is_some()
}
