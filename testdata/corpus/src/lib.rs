//! Real kernels and programs from Debian's archive: their names and packages, and the cache
//! outside the work tree into which they are fetched.

mod apt;
mod binary;
mod cache;
mod command;
mod error;
mod fetch;
mod fetch_binary;
mod image;
#[cfg(test)]
#[path = "../tests/real/mod.rs"]
mod real;
mod sources;
mod sum;
mod unpack;

pub use binary::Binary;
pub use cache::{Release, binary_path, binary_version, cache_dir, path, release, version};
pub use error::FetchError;
pub use fetch::fetch;
pub use fetch_binary::fetch_binaries;
pub use image::{DEBUG_MODULES, Image, Kernel, Part};
