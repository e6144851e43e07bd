//! A program recovered from its code: functions, calls, control flow.
//!
//! One pass over the code records the instructions that change the control flow, synchronise or
//! maintain caches ([`Event`]). An analysis that needs other instructions decodes them again
//! ([`RecoveredProgram::operation`]).
//! Only arm64 is supported.

mod branch_table;
mod cfg;
mod constants;
mod construction;
mod function;
mod plt;
mod pointers;
mod reaching;
mod read_only;
mod recovered;
mod scan;
mod symbolic_value;
mod trace;

pub use cfg::{Block, BlockId, Cfg, Exit};
pub(crate) use constants::ConstantMachine;
pub use function::{FuncId, Function, FunctionSource};
pub(crate) use read_only::{constant_at, constants, variables};
pub use recovered::{BranchTable, CallKind, CallSite, RecoveredProgram};
pub use scan::Event;
