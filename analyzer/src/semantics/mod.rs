//! What one instruction does: the operation, and its effect on registers, flags and memory.
//!
//! [`Operation`] is neutral: it names no encoding. [`a64`] turns an A64 word into an operation;
//! another instruction set would be a second front end. [`execute`] states the effect of every
//! operation once, for any [`Machine`]: a concrete one, which a test compares with an emulator,
//! or an abstract one, which an analysis computes with.

mod a64;
mod a64_fields;
mod a64_memory;
mod access;
mod arithmetic;
mod control;
mod execute;
mod operand;
mod operation;

pub use a64::a64;
pub use access::{Access, AccessKind, Address, Update};
pub use control::{Barrier, CacheOp, Condition, Control, Test};
pub use execute::{Machine, effective_address, execute, writes};
pub use operand::{Extend, INSN_BYTES, Logic, Operand, Register, RegisterSet, Shift, Width};
pub use operation::Operation;
