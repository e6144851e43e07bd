//! `jlctl-vm`: runs a static arm64 program under a real kernel.

use anyhow::anyhow;
use clap::Parser;
use jlctl_corpus::{self as corpus, Image};
use jlctl_vm::{self as vm, Ending, Machine, Program, Record, Stream};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Run a static arm64 program in the virtual machine of the tests.
///
/// Boots a real kernel with four CPUs in QEMU, and forwards the output and the exit status of
/// the program: 128 plus the signal's number if a signal ended it, 124 if it reached the limit,
/// 125 if it did not run to its end for another reason.
#[derive(Debug, Parser)]
struct Arguments {
    /// Boot image, as `jlctl-corpus list` names it; it must be in the cache.
    #[arg(long, value_name = "NAME", default_value = "vmlinuz-6.12", value_parser = arm64_kernel)]
    kernel: Image,
    /// Time limit of the program.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u32,
    /// A variable for the program's environment.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// The program, for example built by cargo for aarch64-unknown-linux-musl.
    program: PathBuf,
    /// Its arguments.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Exit status if the program has none.
const TIMED_OUT: u8 = 124;
const NOT_RUN: u8 = 125;

fn arm64_kernel(name: &str) -> Result<Image, String> {
    let kernels = [Image::Vmlinuz612, Image::Vmlinuz510];
    let known = kernels.map(Image::name).join(" and ");
    let named = kernels.into_iter().find(|image| image.name() == name);
    named.ok_or_else(|| format!("arm64 boot images are {known}"))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("the variable has no =")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let ending =
        boot(Arguments::parse()).unwrap_or_else(|error| Ending::NotStarted(format!("{error:#}")));
    ExitCode::from(match ending {
        Ending::Exit(status) => u8::try_from(status).unwrap_or(NOT_RUN),
        Ending::Signal(signal) => {
            eprintln!("signal {signal} ended the program");
            u8::try_from(signal).map_or(NOT_RUN, |signal| signal.saturating_add(128))
        }
        Ending::TimedOut => {
            eprintln!("the program took longer than its limit");
            TIMED_OUT
        }
        Ending::NotStarted(why) => {
            eprintln!("the program did not run to its end: {why}");
            NOT_RUN
        }
    })
}

/// Runs the program, forwards its output, and returns how it ended.
fn boot(arguments: Arguments) -> anyhow::Result<Ending> {
    let Arguments { kernel, limit, env, program, arguments } = arguments;
    let path = corpus::path(kernel).ok_or(vm::VmError::NoKernel { name: kernel.name() })?;
    let machine = Machine::new(path, vm::init()?);
    let limit = Duration::from_secs(limit.into());
    let mut program = Program::new(program).arguments(arguments).limit(limit);
    program.environment = env;
    let boot = machine.run(&[program], &mut |record| {
        if let Record::Output { stream, bytes, .. } = record {
            // The reader closed our output: the rest is dropped.
            let _ = match stream {
                Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
                Stream::Stderr => io::stderr().write_all(bytes),
            };
        }
    })?;
    let ending = boot.runs.into_iter().next().and_then(|run| run.ending);
    ending.map_or_else(|| Err(boot.failure.map_or_else(|| anyhow!("no result"), Into::into)), Ok)
}
