//! Program recovery and lint of arbitrary bytes.
#![no_main]

#[path = "../../../analyzer/tests/invariants/lint.rs"]
mod check_lint;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check_lint::check(bytes));
