//! Exit codes, and the printing of errors.

use jlctl_analyzer::image::ImageError;
use jlctl_analyzer::jump_table::LocateError;
use jlctl_patch_engine::apply::{ApplyError, FailureClass};
use jlctl_patch_engine::link::LinkError;
use jlctl_patch_engine::process::ProcessError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// The outcome of a command that completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing found.
    Clean,
    /// Findings at or above the failing level.
    Findings,
}

/// A failure of a kind that has its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Wrong usage.
    Usage = 2,
    /// Input that cannot be read or parsed.
    Input = 3,
    /// Refused: not applicable, unknown, ambiguous.
    Refused = 4,
    /// The operating system failed while writing.
    System = 5,
}

/// A message with its exit code; [`kind_of`] maps the errors of libraries.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A failure as an error.
pub(crate) fn failure(kind: Kind, message: impl Into<String>) -> anyhow::Error {
    Failure { kind, message: message.into() }.into()
}

/// Prints the error, if there is one, and returns the exit code.
pub(crate) fn conclude(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        // The reader closed the pipe and needs no more output.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("jlctl: {error:#}");
            ExitCode::from(kind_of(&error) as u8)
        }
    }
}

/// Prints a usage error, or the requested help or version.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Help that is printed to a closed pipe is not an error.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(Kind::Usage as u8) } else { ExitCode::SUCCESS }
}

/// The kind of failure of an error.
pub(crate) fn kind_of(error: &anyhow::Error) -> Kind {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.kind;
        }
        if let Some(error) = cause.downcast_ref::<LinkError>() {
            return of_class(error.class());
        }
        if let Some(error) = cause.downcast_ref::<ApplyError>() {
            return of_class(error.class());
        }
        if let Some(error) = cause.downcast_ref::<ProcessError>() {
            return of_class(error.class());
        }
        if cause.is::<ImageError>() {
            return Kind::Input;
        }
        if cause.is::<LocateError>() {
            return Kind::Refused;
        }
    }
    Kind::System
}

fn of_class(class: FailureClass) -> Kind {
    match class {
        FailureClass::Unreadable => Kind::Input,
        FailureClass::Refused => Kind::Refused,
        FailureClass::System => Kind::System,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json =
            cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(ErrorKind::BrokenPipe)
    })
}
