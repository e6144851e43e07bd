//! Errors of litmus tests.

/// A fault in a litmus file, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct LitmusError {
    /// Line, from 1.
    pub line: usize,
    /// The fault.
    pub fault: Fault,
}

/// The faults of a litmus file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first line is not the header of an AArch64 test.
    #[error("expected the header \"AArch64 NAME\", found {0:?}")]
    Header(String),
    /// A part is missing or malformed.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// The expected part.
        expected: &'static str,
        /// The part that was found.
        found: String,
    },
    /// An instruction that is not modelled.
    #[error("the instruction {0:?} is not modelled")]
    Instruction(String),
    /// A label that no process defines.
    #[error("no label {0}")]
    Label(String),
    /// A label that is defined twice.
    #[error("the label {0} is defined twice")]
    Twice(String),
    /// A value of a kind that is not modelled.
    #[error("the value {0:?} is not modelled")]
    Value(String),
    /// A bound of the model is exceeded.
    #[error("expected at most {limit} {what}, found more")]
    TooMany {
        /// The things that are counted.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

impl Fault {
    pub(super) const fn at(self, line: usize) -> LitmusError {
        LitmusError { line, fault: self }
    }

    pub(super) fn expected(expected: &'static str, found: &str) -> Self {
        let found = match found.trim() {
            "" => "nothing".to_owned(),
            found => format!("{:?}", found.chars().take(40).collect::<String>()),
        };
        Self::Expected { expected, found }
    }
}
