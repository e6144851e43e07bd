//! Containers and signatures, from arbitrary bytes.
#![no_main]

#[path = "../../../analyzer/tests/invariants/container.rs"]
mod container;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| container::check(bytes));
