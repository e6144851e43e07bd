//! The runtime in this process and in processes that a test starts: what sites execute, what
//! other threads see, what the process's policies and its environment change.
//!
//! Tests patch the code of the process that they run in.  A test that counts what the whole
//! process has done, or that needs the machine for itself, starts this program again with its
//! own name (`common::rerun::alone`), so that any runner of tests will do: one process for all
//! tests, one for each, or a virtual machine.

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
