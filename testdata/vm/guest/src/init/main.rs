//! The guest's first process: mounts the file systems that programs expect, runs the jobs,
//! powers off.
//!
//! It reports an error on the console, which the host shows if no [`Record::Off`] arrives.

mod child;
mod mounts;
mod port;

use jlctl_guest::{JOBS, Job, Record};
use port::Port;
use rustix::system::RebootCommand;
use std::io;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    // On any other machine it would mount over existing directories and power off.
    if std::process::id() != 1 {
        eprintln!("this is the init of a virtual machine, and does nothing as another process");
        return ExitCode::FAILURE;
    }
    if let Err(error) = run_jobs() {
        eprintln!("init: {error}");
    }
    if let Err(error) = rustix::system::reboot(RebootCommand::PowerOff) {
        eprintln!("init: cannot switch off: {error}");
    }
    ExitCode::FAILURE
}

fn run_jobs() -> io::Result<()> {
    mounts::mount_all()?;
    let port = Port::open()?;
    let jobs = read_jobs()?;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    port.send(&Record::Ready { release, cpus: thread::available_parallelism()?.get() })?;
    for (number, job) in jobs.iter().enumerate() {
        port.send(&Record::Start(number))?;
        let (ending, duration) = child::run(number, job, &port)?;
        port.send(&Record::End { job: number, ending, duration })?;
    }
    port.send(&Record::Off)?;
    port.drain()
}

fn read_jobs() -> io::Result<Vec<Job>> {
    let parse = |line: &str| {
        Job::parse(line).ok_or_else(|| io::Error::other(format!("{JOBS}: no job: {line}")))
    };
    std::fs::read_to_string(JOBS)?.lines().map(parse).collect()
}
