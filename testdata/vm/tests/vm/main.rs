//! Tests that run in the virtual machine, each reported as one of this program's own.
//!
//! They run when asked for by name (`--test vm`), and fail if QEMU or the kernel is missing.
//! `--list` builds the guest's programs and asks them, but boots nothing; `--nocapture`
//! shows what tests that pass print.

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

/// Those that need no other programs than jlctl.
const LIVE: &[&str] = &["live::flips::", "live::socket::", "live::static_keys::", "live::yama::"];
/// A file in the directory in which they run jlctl.
const ROOT: &[&str] = &["Cargo.toml"];

/// All but `lock_model`, which is about no machine.  Init is root, and there is no strace.
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
    // Those first that could harm the machine: what follows shows that they did not.
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
