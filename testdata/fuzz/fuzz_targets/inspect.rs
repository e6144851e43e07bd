//! Image, jump table and debug information of arbitrary bytes.
#![no_main]

#[path = "../../../analyzer/tests/invariants/image.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::check(bytes));
