//! The symbol table that a kernel contains, from arbitrary bytes.
#![no_main]

#[path = "../../../analyzer/tests/invariants/kallsyms.rs"]
mod check_kallsyms;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check_kallsyms::check(bytes));
