//! What the guest tells the host.

use crate::words;
use std::time::Duration;

/// The serial port of the records: the first that is not the `virt` machine's own, on PCI.
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
    /// It ended itself, with this status.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
    /// It took longer than its limit, and was killed.
    TimedOut,
    /// It could not be started, for this reason.
    NotStarted(String),
}

/// Something that happened in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The guest is up, and will run its jobs now.
    Ready {
        /// The kernel's release, as `uname -r` has it.
        release: String,
        /// How many CPUs a program may run on.
        cpus: usize,
    },
    /// The job of this number, from 0, starts.
    Start(usize),
    /// A program printed something.
    Output {
        /// The number of its job.
        job: usize,
        /// Where to.
        stream: Stream,
        /// What; a part of a line perhaps.
        bytes: Vec<u8>,
    },
    /// A job has ended.
    End {
        /// Its number.
        job: usize,
        /// How.
        ending: Ending,
        /// How long it took, to the millisecond.
        duration: Duration,
    },
    /// All jobs have ended, and the guest switches itself off.
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

    /// The record of a line; `None` if it is none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words.as_slice() {
            ["ready", cpus, release] => {
                Self::Ready { release: words::decode_text(release)?, cpus: cpus.parse().ok()? }
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
    words::push(&mut line, bytes);
    line
}

fn output(job: &str, stream: Stream, bytes: &str) -> Option<Record> {
    Some(Record::Output { job: job.parse().ok()?, stream, bytes: words::decode(bytes)? })
}

fn parse_ending(words: &[&str]) -> Option<Ending> {
    Some(match words {
        ["exit", status] => Ending::Exit(status.parse().ok()?),
        ["signal", signal] => Ending::Signal(signal.parse().ok()?),
        ["timed-out"] => Ending::TimedOut,
        ["not-started", why] => Ending::NotStarted(words::decode_text(why)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let end = |ending| Record::End { job: 2, ending, duration: Duration::from_millis(70) };
        let output = |stream, bytes: &[u8]| Record::Output { job: 0, stream, bytes: bytes.into() };
        for (record, line) in [
            (Record::Ready { release: "6.12 x".to_owned(), cpus: 4 }, "ready 4 6.12%20x"),
            (Record::Start(7), "start 7"),
            (output(Stream::Stdout, b"end 0\n"), "stdout 0 end%200%0A"),
            (output(Stream::Stderr, b"\xff\0"), "stderr 0 %FF%00"),
            (end(Ending::Exit(101)), "end 2 70 exit 101"),
            (end(Ending::Signal(4)), "end 2 70 signal 4"),
            (end(Ending::TimedOut), "end 2 70 timed-out"),
            (end(Ending::NotStarted("no file".to_owned())), "end 2 70 not-started no%20file"),
            (Record::Off, "off"),
        ] {
            assert_eq!(record.to_line(), line);
            assert_eq!(Record::parse(line), Some(record));
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for line in
            ["", "ready", "start", "start x", "stdout 0", "end 0 1", "end 0 1 exit", "off 1"]
        {
            assert_eq!(Record::parse(line), None, "{line:?}");
        }
    }
}
