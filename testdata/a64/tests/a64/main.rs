//! Tests of the assembler, its linker and the lint's cases.

mod asm;
mod code;
mod lint_cases;
