//! Programs of real code: an assembler for the few A64 instructions that fixtures need
//! ([`asm`]), and a linker that makes kernels, libraries and modules of functions
//! ([`Program`]).

pub mod asm;
mod dynamic;
mod frame;
mod function;
mod insn;
mod kernel;
mod link;
mod module;
mod program;
mod register;

pub use function::{Entries, Function, Object, ObjectSection};
pub use insn::{Code, Form, Insn, code, refer};
pub use program::Program;
