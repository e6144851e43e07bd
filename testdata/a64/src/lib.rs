//! Programs of real arm64 code.
//!
//! * [`code`] is an assembler for A64 and a linker: it makes kernels, libraries and modules.
//! * [`lint_cases`] are such programs, each with the findings that the lint must report.
#![warn(missing_docs)]

pub mod code;
pub mod lint_cases;
