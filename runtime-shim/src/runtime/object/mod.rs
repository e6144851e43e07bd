//! Objects with jump tables: the program when it starts, libraries when they are opened and
//! closed (dlopen(3), dlclose(3)).

pub(crate) mod initial;
#[cfg(feature = "capi")]
pub(crate) mod linked;
mod register;

pub use register::{register, unregister};
