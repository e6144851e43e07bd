//! Why a litmus test cannot be judged.

/// What is wrong in a litmus file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct LitmusError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first line is not that of a test for AArch64.
    #[error("expected the header \"AArch64 NAME\", found {0:?}")]
    Header(String),
    /// A part is missing.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// An instruction that is not modelled.
    #[error("the instruction {0:?} is not modelled")]
    Instruction(String),
    /// A label that no process has.
    #[error("no label {0}")]
    Label(String),
    /// A name that is given twice.
    #[error("the label {0} is given twice")]
    Twice(String),
    /// A value of a kind that is not modelled.
    #[error("the value {0:?} is not modelled")]
    Value(String),
    /// More of something than there may be.
    #[error("expected at most {limit} {what}, found more")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// Most of it.
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
