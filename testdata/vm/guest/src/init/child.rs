//! Runs one job, within its limit.

use super::port::Port;
use jlctl_guest::{Ending, Job, Record, Stream};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Interval at which the exit of a program is polled.
const POLL: Duration = Duration::from_millis(2);
/// Maximum output of one record, in bytes.
const CHUNK: usize = 1024;

/// Runs `job` to its end or its limit, and sends its output.
///
/// # Errors
///
/// If the port fails. A program that cannot be started is an [`Ending`].
pub(super) fn run(number: usize, job: &Job, port: &Port) -> io::Result<(Ending, Duration)> {
    let start = Instant::now();
    let child = Command::new(&job.program)
        .args(&job.arguments)
        .env_clear()
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Ok((Ending::NotStarted(error.to_string()), start.elapsed())),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let readers = [
            scope.spawn(|| stdout.map_or(Ok(()), |pipe| pass(number, Stream::Stdout, pipe, port))),
            scope.spawn(|| stderr.map_or(Ok(()), |pipe| pass(number, Stream::Stderr, pipe, port))),
        ];
        let ending = await_end(&mut child, start + job.limit);
        let duration = start.elapsed();
        // A remaining process could hold the pipes or disturb the next job.
        end_all_others()?;
        for reader in readers {
            reader.join().map_err(|_| io::Error::other("a reader of output panicked"))??;
        }
        Ok((ending?, duration))
    })
}

/// Sends the output of `pipe`.
fn pass(job: usize, stream: Stream, mut pipe: impl Read, port: &Port) -> io::Result<()> {
    let mut buffer = [0; CHUNK];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                let bytes = buffer.iter().copied().take(length).collect();
                port.send(&Record::Output { job, stream, bytes })?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn await_end(child: &mut Child, deadline: Instant) -> io::Result<Ending> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(ending(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(Ending::TimedOut);
        }
        thread::sleep(POLL);
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exit(code),
        (None, Some(signal)) => Ending::Signal(signal),
        (None, None) => Ending::NotStarted(format!("ended with {status}")),
    }
}

/// Kills and reaps every other process. Kernel threads ignore the signal.
fn end_all_others() -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = number.and_then(Pid::from_raw).filter(|pid| !pid.is_init()) {
            // The process may have exited in the meantime.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    Ok(())
}
