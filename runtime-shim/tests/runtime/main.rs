//! Tests of the runtime: the code that sites execute, the code that other threads observe, and the
//! effects of policies and of the environment.
//!
//! Tests patch the code of their own process.  A test that checks the counts of a whole process, or
//! that needs all CPUs, runs in a process of its own (`common::rerun::alone`).  So the tests pass
//! with any runner: with one process for all tests, with a process for each, and in the virtual
//! machine.

#[path = "../common/mod.rs"]
mod common;

mod control;
mod environment;
mod forks;
mod invalid;
mod keys;
mod litmus;
mod many_threads;
#[cfg(not(target_arch = "riscv64"))]
mod membarrier;
mod report;
#[cfg(target_arch = "x86_64")]
mod system_calls;
mod thread_exit;
mod transform;
mod write_policy;
