//! How stores to code reach all threads: cache maintenance, and the final synchronisation.

#[cfg(feature = "capi")]
pub(crate) mod clear_cache;
pub(crate) mod icache;
mod method;
mod settings;

pub use method::{Method, Refusal, SyncLevel};
pub(crate) use method::{choose, register, synchronise};
pub use settings::{Allowed, allow, forbid_membarrier};
