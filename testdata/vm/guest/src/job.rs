//! The programs that the host asks the guest to run.

use crate::escape;
use std::time::Duration;

/// Path of the file of jobs in the guest: one line for each [`Job`].
pub const JOBS: &str = "/jobs";

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Path of the program in the guest.
    pub program: String,
    /// Its arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Time limit in milliseconds, after which it is killed.
    pub limit: Duration,
}

impl Job {
    /// The job as a line, without line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = format!("{} {}", self.limit.as_millis(), self.arguments.len());
        escape::push(&mut line, self.program.as_bytes());
        for argument in &self.arguments {
            escape::push(&mut line, argument.as_bytes());
        }
        for (name, value) in &self.environment {
            escape::push(&mut line, name.as_bytes());
            escape::push(&mut line, value.as_bytes());
        }
        line
    }

    /// The job that `line` encodes; `None` if it is not a job.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut rest = line.split(' ');
        let limit = Duration::from_millis(rest.next()?.parse().ok()?);
        let count: usize = rest.next()?.parse().ok()?;
        let program = escape::decode_text(rest.next()?)?;
        let arguments: Vec<String> =
            rest.by_ref().take(count).map(escape::decode_text).collect::<Option<_>>()?;
        if arguments.len() != count {
            return None;
        }
        let mut environment = Vec::new();
        while let Some(name) = rest.next() {
            environment.push((escape::decode_text(name)?, escape::decode_text(rest.next()?)?));
        }
        Some(Self { program, arguments, environment, limit })
    }
}
