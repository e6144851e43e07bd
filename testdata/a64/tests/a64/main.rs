//! Tests of the assembler, its linker and the lint's cases.

mod code;
mod lint_cases;
