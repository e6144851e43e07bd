//! `jlctl-testdata`: makes the demo image, fetches real ones, runs programs under a real
//! kernel.

use anyhow::{Context, anyhow};
use clap::{Args, Parser, Subcommand};
use jlctl_testdata::corpus::{self, Binary, Image};
use jlctl_testdata::demo;
use jlctl_testdata::vm::{self, Ending, Machine, Program, Record, Stream};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Test data of jlctl.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the demo image.
    Demo {
        /// Where to, instead of the committed image.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Fetch real images through the machine's apt, all unless named.
    Fetch {
        /// Images, as `list` names them.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the real images and where they are.
    List,
    /// Run a static arm64 program in the virtual machine of the tests.
    ///
    /// Boots a real kernel with four CPUs in QEMU, and passes on what the program prints and
    /// its exit status: 128 and the signal's number if one ended it, 124 if it took too long,
    /// 125 if it could not be run to its end for another reason.
    Vm(VmArguments),
}

#[derive(Debug, Args)]
struct VmArguments {
    /// Boot image, as `list` names it; it must have been fetched.
    #[arg(long, value_name = "NAME", default_value = "vmlinuz-6.12", value_parser = arm64_kernel)]
    kernel: Image,
    /// How long the program may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u32,
    /// A variable of the program's environment, which has few others.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// The program, such as cargo builds it for aarch64-unknown-linux-musl.
    program: PathBuf,
    /// Its arguments.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Exit status of `vm` where the program has none.
const TIMED_OUT: u8 = 124;
const NOT_RUN: u8 = 125;

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Action::Demo { output } => write_demo(output)?,
        Action::Fetch { names } => fetch(&names)?,
        Action::List => list(),
        Action::Vm(arguments) => return Ok(run_in_vm(arguments)),
    }
    Ok(ExitCode::SUCCESS)
}

fn write_demo(output: Option<PathBuf>) -> anyhow::Result<()> {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join(demo::COMMITTED);
    let path = output.unwrap_or_else(committed);
    fs::write(&path, demo::vmlinux())
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

fn fetch(names: &[String]) -> anyhow::Result<()> {
    let (mut images, mut binaries) = (Vec::new(), Vec::new());
    for name in names {
        match (Image::from_name(name), Binary::from_name(name)) {
            (Some(image), _) => images.push(image),
            (None, Some(binary)) => binaries.push(binary),
            (None, None) => return Err(unknown(name)),
        }
    }
    if names.is_empty() {
        (images, binaries) = (Image::ALL.to_vec(), Binary::ALL.to_vec());
    }
    let mut progress = |step: &str| eprintln!("{step}");
    let kernels = corpus::fetch(&images, &mut progress);
    let programs = corpus::fetch_binaries(&binaries, &mut progress);
    kernels?;
    programs?;
    let paths = images.into_iter().map(|image| (image.name(), corpus::path(image)));
    let others = binaries.into_iter().map(|binary| (binary.name(), corpus::binary_path(binary)));
    for (name, path) in paths.chain(others) {
        let path = path.with_context(|| format!("{name} has disappeared from the cache"))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn unknown(name: &str) -> anyhow::Error {
    let known = Image::ALL.map(Image::name).into_iter().chain(Binary::ALL.map(Binary::name));
    let known: Vec<&str> = known.collect();
    anyhow!("no image is called {name:?}; there are {}", known.join(", "))
}

fn list() {
    let line = |name: &str, source: String, path: Option<PathBuf>| {
        let place = path.map_or("not fetched".to_owned(), |path| path.display().to_string());
        println!("{name}\t{source}\t{place}");
    };
    for image in Image::ALL {
        let source = corpus::version(image).unwrap_or_else(|| image.package());
        line(image.name(), source, corpus::path(image));
    }
    for binary in Binary::ALL {
        let source = corpus::binary_version(binary).unwrap_or_else(|| binary.package().to_owned());
        line(binary.name(), source, corpus::binary_path(binary));
    }
}

fn arm64_kernel(name: &str) -> Result<Image, String> {
    let kernels = [Image::Vmlinuz612, Image::Vmlinuz510];
    let known = kernels.map(Image::name).join(" and ");
    let named = kernels.into_iter().find(|image| image.name() == name);
    named.ok_or_else(|| format!("arm64 boot images are {known}"))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no =")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn run_in_vm(arguments: VmArguments) -> ExitCode {
    let ending = boot(arguments).unwrap_or_else(|error| Ending::NotStarted(format!("{error:#}")));
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

/// How the program ended, which has printed meanwhile.
fn boot(arguments: VmArguments) -> anyhow::Result<Ending> {
    let VmArguments { kernel, limit, env, program, arguments } = arguments;
    let path = corpus::path(kernel).ok_or(vm::VmError::NoKernel { name: kernel.name() })?;
    let machine = Machine::new(path, vm::init()?);
    let limit = Duration::from_secs(limit.into());
    let mut program = Program::new(program).arguments(arguments).limit(limit);
    program.environment = env;
    let boot = machine.run(&[program], &mut |record| {
        if let Record::Output { stream, bytes, .. } = record {
            // Who closed our output does not want the rest of it.
            let _ = match stream {
                Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
                Stream::Stderr => io::stderr().write_all(bytes),
            };
        }
    })?;
    let ending = boot.runs.into_iter().next().and_then(|run| run.ending);
    ending.map_or_else(|| Err(boot.failure.map_or_else(|| anyhow!("no result"), Into::into)), Ok)
}
