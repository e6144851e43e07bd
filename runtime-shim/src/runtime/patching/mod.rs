//! From changes of counts to code that all threads execute.
//!
//! [`table`] lists the sites of a key, [`code`] verifies and encodes the patch of a site,
//! [`window`] makes its pages writable, [`write`] stores it, and [`apply`] puts these steps and
//! the final synchronisation in order, on the state that [`state`] guards by a lock.
//! [`transform`] is the interface for programs that queue and synchronise patches themselves.

pub(crate) mod apply;
pub(crate) mod changes;
mod code;
mod mappings;
pub(crate) mod record;
pub(crate) mod state;
pub(crate) mod table;
pub mod transform;
mod window;
mod write;
