//! Running processes: keys and sites in their memory, and patches of them.
//!
//! Everything is verified in memory: an image is recognised by the build id in the process, and
//! every old byte is compared while all threads are stopped. The stop synchronises the other CPUs
//! (`stop.rs`). A process with a control socket flips its keys itself (`control.rs`).

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
