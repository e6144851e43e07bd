//! The records that the guest sends to the host.

use crate::escape;
use std::time::Duration;

/// The serial port of the records: the first on PCI, after the one of the `virt` machine.
pub const PORT: &str = "/dev/ttyS0";

/// One of a program's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status.
    Exit(i32),
    /// A signal with this number ended it.
    Signal(i32),
    /// It reached its limit and was killed.
    TimedOut,
    /// It could not be started, for this reason.
    NotStarted(String),
}

/// An event in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The guest has booted and starts its jobs.
    Ready {
        /// The kernel's release, as `uname -r` prints it.
        release: String,
        /// Number of CPUs that a program may run on.
        cpus: usize,
    },
    /// The job of this number, from 0, starts.
    Start(usize),
    /// A program printed something.
    Output {
        /// The number of its job.
        job: usize,
        /// The output.
        stream: Stream,
        /// The bytes, possibly part of a line.
        bytes: Vec<u8>,
    },
    /// A job has ended.
    End {
        /// Its number.
        job: usize,
        /// How.
        ending: Ending,
        /// Its duration in milliseconds.
        duration: Duration,
    },
    /// All jobs have ended, and the guest powers off.
    Off,
}

impl Record {
    /// The record as a line, without line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::Ready { release, cpus } => with_word(format!("ready {cpus}"), release.as_bytes()),
            Self::Start(job) => format!("start {job}"),
            Self::Output { job, stream: Stream::Stdout, bytes } => {
                with_word(format!("stdout {job}"), bytes)
            }
            Self::Output { job, stream: Stream::Stderr, bytes } => {
                with_word(format!("stderr {job}"), bytes)
            }
            Self::End { job, ending, duration } => {
                let line = format!("end {job} {}", duration.as_millis());
                match ending {
                    Ending::Exit(status) => format!("{line} exit {status}"),
                    Ending::Signal(signal) => format!("{line} signal {signal}"),
                    Ending::TimedOut => format!("{line} timed-out"),
                    Ending::NotStarted(why) => {
                        with_word(format!("{line} not-started"), why.as_bytes())
                    }
                }
            }
            Self::Off => "off".to_owned(),
        }
    }

    /// The record that `line` encodes; `None` if it is not a record.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words.as_slice() {
            ["ready", cpus, release] => {
                Self::Ready { release: escape::decode_text(release)?, cpus: cpus.parse().ok()? }
            }
            ["start", job] => Self::Start(job.parse().ok()?),
            ["stdout", job, bytes] => output(job, Stream::Stdout, bytes)?,
            ["stderr", job, bytes] => output(job, Stream::Stderr, bytes)?,
            ["end", job, milliseconds, ending @ ..] => Self::End {
                job: job.parse().ok()?,
                ending: parse_ending(ending)?,
                duration: Duration::from_millis(milliseconds.parse().ok()?),
            },
            ["off"] => Self::Off,
            _ => return None,
        })
    }
}

fn with_word(mut line: String, bytes: &[u8]) -> String {
    escape::push(&mut line, bytes);
    line
}

fn output(job: &str, stream: Stream, bytes: &str) -> Option<Record> {
    Some(Record::Output { job: job.parse().ok()?, stream, bytes: escape::decode(bytes)? })
}

fn parse_ending(words: &[&str]) -> Option<Ending> {
    Some(match words {
        ["exit", status] => Ending::Exit(status.parse().ok()?),
        ["signal", signal] => Ending::Signal(signal.parse().ok()?),
        ["timed-out"] => Ending::TimedOut,
        ["not-started", why] => Ending::NotStarted(escape::decode_text(why)?),
        _ => return None,
    })
}
