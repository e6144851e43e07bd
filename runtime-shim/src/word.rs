//! What the lock is made of: a word, and the two ways to wait for it.
//!
//! A module of its own so that the model checker can put its own words in the place of
//! these (`tests/lock_model.rs`).

pub(crate) use crate::sys::{futex_wait, futex_wake};
pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
