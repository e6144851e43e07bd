//! Tests that run in the virtual machine, each reported as a test of this program.
//!
//! They run when asked for by name (`--test vm`), and fail if QEMU or the kernel is missing.
//! `--list` builds and lists the guest's programs without booting; `--nocapture` shows the
//! output of tests that pass.

mod guest;
mod outcomes;

use guest::Guest;
use jlctl_vm::{Suite, Target, VmError};
use libtest_mimic::{Arguments, Trial};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

/// The packages whose tests run in the guest, and which of their tests.
const SUITES: &[Suite] = &[
    Suite::new("jlctl-guest", &["--test", "machine"]),
    Suite::new("jlctl-shim", SHIM),
    Suite {
        target: Target::Gnu,
        filter: LIVE,
        examples: &["shim_keys", "crate_keys"],
        files: ROOT,
        ..Suite::new("jlctl", &["--test=cli", "--features=guest,privileged"])
    },
];

/// The tests that need no program except jlctl.
const LIVE: &[&str] = &["live::flips::", "live::socket::", "live::static_keys::", "live::yama::"];
/// A file in the working directory of jlctl.
const ROOT: &[&str] = &["Cargo.toml"];

/// All except `lock_model`, which needs no machine. Init is root, and the guest has no strace.
const SHIM: &[&str] = &["--lib", "--test=runtime", "--features=privileged"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials(&arguments) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("cannot prepare the guest: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn trials(arguments: &Arguments) -> Result<Vec<Trial>, VmError> {
    let mut guest = Guest::new(arguments)?;
    // First the programs that could damage the machine: the later ones show that they did not.
    let expected = outcomes::add(&mut guest)?;
    let suites = SUITES.iter().map(|suite| guest.add_suite(suite));
    let suites = suites.collect::<Result<Vec<_>, _>>()?;
    let guest = Arc::new(guest);
    let mut trials = outcomes::trials(&guest, expected);
    trials.extend(suites.into_iter().flatten().flat_map(|tests| tests.trials(&guest)));
    Ok(trials)
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
