//! A program recovered from its code: functions, calls, control flow.
//!
//! One pass over all code keeps what changes the flow of control, synchronises or
//! maintains caches ([`Event`]); everything else is read again where an analysis asks
//! for it.  Only arm64 is read.

mod access;
mod branch_table;
mod cfg;
mod condition;
mod function;
mod insn;
mod operation;
mod plt;
mod pointers;
mod reaching;
mod recovered;
mod scan;
mod symbolic_value;
mod trace;

pub use access::{Access, AccessKind, access, also_writes};
pub use cfg::{Block, BlockId, BranchTable, Cfg, Exit};
pub use condition::{Condition, Test, condition};
pub use function::{FuncId, Function, FunctionSource};
pub use insn::{Barrier, CacheOp, Constant, INSN_BYTES, Insn, Register, decode};
pub(crate) use pointers::constants;
pub use recovered::{CallKind, CallSite, Program};
pub use scan::Event;
pub(crate) use trace::constant_at;
