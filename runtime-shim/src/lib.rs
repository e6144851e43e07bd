//! The jump-label ABI and its instruction encoders: the one definition that
//! every other crate of jlctl uses.
//!
//! * [`abi`] says how a jump entry and a static key lie in memory and when a
//!   site must hold a branch.
//! * [`insn`] encodes the two instructions that a site may hold, for each
//!   architecture.
//!
//! This crate depends on nothing, uses no allocator and runs without `std`,
//! so that a program which links the runtime shim links nothing else.
#![no_std]
#![warn(missing_docs)]

pub mod abi;
pub mod insn;
