//! Encoders of the two instructions that a site may hold, one module per architecture.  An
//! encoder returns an error for a branch that it cannot encode; it never truncates.

pub mod aarch64;
mod encoding;
pub mod riscv64;
pub mod x86_64;

pub use encoding::{EncodeError, InsnBytes};
