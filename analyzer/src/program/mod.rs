//! A program recovered from its code: functions, calls, control flow.
//!
//! One pass over the code records the instructions that change the control flow, synchronise or
//! maintain caches ([`Event`]). An analysis that needs other instructions decodes them again.
//! Only arm64 is supported.

mod access;
mod branch_table;
mod cfg;
mod condition;
mod construction;
mod function;
mod insn;
mod operation;
mod plt;
mod pointers;
mod reaching;
mod read_only;
mod recovered;
mod scan;
mod symbolic_value;
mod trace;

pub use access::{Access, AccessKind, access, also_writes};
pub use cfg::{Block, BlockId, Cfg, Exit};
pub use condition::{Condition, Test, condition};
pub use function::{FuncId, Function, FunctionSource};
pub(crate) use insn::CALLEE_SAVED;
pub use insn::{Barrier, CacheOp, Constant, INSN_BYTES, Insn, Register, decode};
pub(crate) use read_only::{constant_at, constants};
pub use recovered::{BranchTable, CallKind, CallSite, RecoveredProgram};
pub use scan::Event;
