//! Programs of real code: an assembler for the A64 instructions of the test programs ([`asm`]),
//! and a linker that makes kernels, libraries and modules from functions ([`Program`]).

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
