//! Running processes: keys and sites as they are in memory, and patches of them.
//!
//! Everything is verified in memory: an image is known by the build id that the process has,
//! every old byte is compared while all threads are stopped.  The stop is the synchronisation
//! of the other CPUs (`stop.rs` says why).  A process that has a control socket flips its keys
//! itself (`control.rs`).

mod access;
mod control;
mod detach;
mod edits;
mod error;
mod live;
mod locate;
mod maps;
mod memory;
mod stop;

pub use control::{Control, ControlDone, ControlKey, ControlOp, control_socket};
pub use edits::{MemoryEdit, MemoryEdits, Pause, apply};
pub use error::{MemoryDifference, ProcessError};
pub use live::{FlipError, Flipped, Live, Stale};
pub use locate::{Bias, locate};
pub use maps::{Mapping, mappings};
pub use memory::Memory;
pub use stop::Stopped;
