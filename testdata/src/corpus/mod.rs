//! Real kernels from Debian's archive: what they are, and where the cache
//! outside the work tree keeps what was fetched.

mod apt;
mod cache;
mod command;
mod error;
mod fetch;
mod image;
mod sources;
mod sum;
mod unpack;

pub use cache::{Release, cache_dir, path, release, version};
pub use error::FetchError;
pub use fetch::fetch;
pub use image::{DEBUG_MODULES, Image, Kernel, Part};
