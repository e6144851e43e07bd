//! What the guest's records say, put together.

use crate::program::Run;
use jlctl_guest::Record;

/// What is known of the guest.
#[derive(Debug)]
pub(super) struct Results {
    /// Of each program, in order.
    pub(super) runs: Vec<Run>,
    /// The program that runs.
    pub(super) running: Option<usize>,
    /// Whether all programs have ended, and the guest switches itself off.
    pub(super) off: bool,
}

impl Results {
    /// Nothing has happened yet to `count` programs.
    pub(super) fn new(count: usize) -> Self {
        Self { runs: vec![Run::default(); count], running: None, off: false }
    }

    /// Takes a record in; `false` if it is about a program that there is not.
    pub(super) fn add(&mut self, record: &Record) -> bool {
        match record {
            Record::Ready { .. } => {}
            Record::Off => self.off = true,
            Record::Start(job) => {
                let Some(run) = self.runs.get_mut(*job) else { return false };
                run.started = true;
                self.running = Some(*job);
            }
            Record::Output { job, stream, bytes } => {
                let Some(run) = self.runs.get_mut(*job) else { return false };
                run.stream(*stream).extend(bytes);
            }
            Record::End { job, ending, duration } => {
                let Some(run) = self.runs.get_mut(*job) else { return false };
                run.ending = Some(ending.clone());
                run.duration = *duration;
                self.running = None;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jlctl_guest::{Ending, Stream};
    use std::time::Duration;

    #[test]
    fn records_become_runs() {
        let mut results = Results::new(2);
        let output = |stream, bytes: &[u8]| Record::Output { job: 0, stream, bytes: bytes.into() };
        let duration = Duration::from_millis(3);
        for record in [
            Record::Ready { release: "6.12".to_owned(), cpus: 4 },
            Record::Start(0),
            output(Stream::Stdout, b"1 "),
            output(Stream::Stderr, b"!"),
            output(Stream::Stdout, b"2"),
            Record::End { job: 0, ending: Ending::Signal(4), duration },
            Record::Start(1),
        ] {
            assert!(results.add(&record), "{record:?}");
        }
        let first = Run {
            started: true,
            ending: Some(Ending::Signal(4)),
            stdout: b"1 2".into(),
            stderr: b"!".into(),
            duration,
        };
        let second = Run { started: true, ..Run::default() };
        assert_eq!(results.runs, [first, second]);
        assert_eq!((results.running, results.off), (Some(1), false));
    }

    #[test]
    fn a_program_that_there_is_not_is_refused() {
        let mut results = Results::new(1);
        let end = Record::End { job: 1, ending: Ending::TimedOut, duration: Duration::ZERO };
        let output = Record::Output { job: 1, stream: Stream::Stdout, bytes: Vec::new() };
        for record in [Record::Start(1), output, end] {
            assert!(!results.add(&record), "{record:?}");
        }
    }
}
