//! Running other programs, with errors that name them.

use crate::FetchError;
use std::io::{Read, Seek};
use std::process::{Command, Output, Stdio};

/// Runs `command` to its end and returns its stdout.
pub(super) fn output(command: &mut Command) -> Result<String, FetchError> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| FetchError::Spawn { command: line.clone(), source })?;
    check(&line, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The requirement on the left side of a pipe after the right side has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Producer {
    /// It must succeed too.
    RunsToItsEnd,
    /// It may fail because the right side stopped reading early.
    MayBeCutShort,
}

/// Runs `left | right` to the end of both.
pub(super) fn pipe(
    left: &mut Command,
    producer_rule: Producer,
    right: &mut Command,
) -> Result<(), FetchError> {
    let (left_line, right_line) = (line(left), line(right));
    let spawn_error = |command: &str, source| FetchError::Spawn { command: command.into(), source };
    // stderr goes to a file: a second pipe could fill up and block.
    let mut log = tempfile::tempfile().map_err(|source| spawn_error(&left_line, source))?;
    let stderr = log.try_clone().map_err(|source| spawn_error(&left_line, source))?;
    let mut producer = left
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|source| spawn_error(&left_line, source))?;
    let stream = producer.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let consumed = right.stdin(stream).output();
    // Closing the reading end lets a producer finish that is still writing.
    right.stdin(Stdio::null());
    let produced = producer.wait();
    check(&right_line, &consumed.map_err(|source| spawn_error(&right_line, source))?)?;
    let status = produced.map_err(|source| spawn_error(&left_line, source))?;
    if producer_rule == Producer::MayBeCutShort {
        return Ok(());
    }
    let mut stderr = Vec::new();
    log.rewind()
        .and_then(|()| log.read_to_end(&mut stderr))
        .map_err(|source| spawn_error(&left_line, source))?;
    check(&left_line, &Output { status, stdout: Vec::new(), stderr })
}

fn check(command: &str, output: &Output) -> Result<(), FetchError> {
    if output.status.success() {
        return Ok(());
    }
    Err(FetchError::Command {
        command: command.to_owned(),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
    })
}

/// The command line, for messages.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
