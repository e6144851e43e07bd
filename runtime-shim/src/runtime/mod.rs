//! The runtime: static keys of this program, flipped while its threads run.

mod batch;
#[cfg(feature = "capi")]
pub mod capi;
mod control;
mod error;
mod key;
mod macros;
mod names;
pub mod object;
mod patching;
mod process;
mod report;
mod sync;
mod sys;

pub use batch::{Batch, sync_level};
pub use error::{Error, WritePolicy};
pub use key::{Key, Op, StaticKeyFalse, StaticKeyTrue, TypedKey};
#[doc(hidden)]
pub use macros::starts_as_jump;
pub use patching::apply::Applied;
pub use patching::record::{Counts, Uncovered, UncoveredPatch};
pub use patching::table::Object;
pub use patching::transform;
#[doc(hidden)]
pub use process::{attach, detach, finish};
pub use report::{report, uncovered};
pub use sync::{Allowed, Method, Refusal, SyncLevel, allow, forbid_membarrier};
pub use sys::errno::Errno;
