//! What the host wants to be run.

use crate::words;
use std::time::Duration;

/// Path of the file of jobs in the guest: one line for each [`Job`].
pub const JOBS: &str = "/jobs";

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Path of the program in the guest.
    pub program: String,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// All of its environment, by name.
    pub environment: Vec<(String, String)>,
    /// How long it may take, to the millisecond; then it is killed.
    pub limit: Duration,
}

impl Job {
    /// The job as a line, without line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = format!("{} {}", self.limit.as_millis(), self.arguments.len());
        words::push(&mut line, self.program.as_bytes());
        for argument in &self.arguments {
            words::push(&mut line, argument.as_bytes());
        }
        for (name, value) in &self.environment {
            words::push(&mut line, name.as_bytes());
            words::push(&mut line, value.as_bytes());
        }
        line
    }

    /// The job of a line; `None` if it is none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut rest = line.split(' ');
        let limit = Duration::from_millis(rest.next()?.parse().ok()?);
        let count: usize = rest.next()?.parse().ok()?;
        let program = words::decode_text(rest.next()?)?;
        let arguments: Vec<String> =
            rest.by_ref().take(count).map(words::decode_text).collect::<Option<_>>()?;
        if arguments.len() != count {
            return None;
        }
        let mut environment = Vec::new();
        while let Some(name) = rest.next() {
            environment.push((words::decode_text(name)?, words::decode_text(rest.next()?)?));
        }
        Some(Self { program, arguments, environment, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_back() {
        let job = Job {
            program: "/programs/0".to_owned(),
            arguments: vec!["--exact".to_owned(), String::new(), "a b".to_owned()],
            environment: vec![
                ("A".to_owned(), "1 = 2".to_owned()),
                ("B".to_owned(), String::new()),
            ],
            limit: Duration::from_millis(1500),
        };
        assert_eq!(job.to_line(), "1500 3 /programs/0 --exact  a%20b A 1%20=%202 B ");
        assert_eq!(Job::parse(&job.to_line()), Some(job));
    }

    #[test]
    fn what_is_no_job_is_refused() {
        for line in ["", "1", "x 0 p", "1 0", "1 2 p a", "1 0 p NAME", "1 18446744073709551616 p"] {
            assert_eq!(Job::parse(line), None, "{line:?}");
        }
    }
}
