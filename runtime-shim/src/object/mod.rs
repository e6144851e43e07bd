//! Objects with tables come and go: the program at its start, libraries with dlopen(3) and
//! dlclose(3).

pub(crate) mod initial;
#[cfg(feature = "capi")]
pub(crate) mod linked;
mod register;

pub use register::{register, unregister};
