//! The control socket: `JLSHIM_CONTROL=PATH` lets this user and root list and flip keys from
//! outside, while the program runs.
//!
//! A UNIX stream socket, mode 0600, served by a thread of the runtime's own, one client after the
//! other.  `jlctl ctl` speaks to it, and so can people: lines of text, protocol
//! `jlshim.control/1`.
//!
//! | line | reply, before `ok` |
//! |---|---|
//! | `hello` | `jlshim.control/1 PID`, `sync LEVEL METHOD`, `object BIAS BUILDID PATH` for each table |
//! | `list` | `key ADDRESS COUNT SITES` for each key, `name ADDRESS NAME` for each that is known |
//! | `enable KEY… disable KEY…` | `key ADDRESS BEFORE COUNT` for each; `ok SITES LEVEL METHOD` |
//! | `report` | the report as JSON |
//!
//! A KEY is an address, `ADDRESS=COUNT` with the count that it must have, or a name as
//! `JLSHIM_ENABLE` takes it.  One line is one batch, all or nothing, with one synchronisation;
//! `error ERRNO TEXT` says why nothing was done.
//!
//! A child made by fork is not served, and has the socket closed; a program that replaces
//! itself by exec opens it anew.

mod keys;
mod listener;
mod request;
mod server;

pub(crate) use listener::{start, stop, want};
