//! The control socket: `JLSHIM_CONTROL=PATH` lets this user and root list and flip keys from
//! outside, while the program runs.
//!
//! It is a UNIX stream socket with mode 0600, served by a thread of the runtime, one client at a
//! time.  `jlctl ctl` is its client; the protocol `jlshim.control/1` consists of lines of text,
//! so that a person can use it too.
//!
//! | line | reply, before `ok` |
//! |---|---|
//! | `hello` | `jlshim.control/1 PID`, `sync LEVEL METHOD`, `object BIAS BUILDID PATH` for each table |
//! | `list` | `key ADDRESS COUNT SITES` for each key, `name ADDRESS NAME` for each known name |
//! | `enable KEY… disable KEY…` | `key ADDRESS BEFORE COUNT` for each; `ok SITES LEVEL METHOD` |
//! | `report` | the report as JSON |
//!
//! A KEY is an address, `ADDRESS=COUNT` with the count that the key must have, or a name as in
//! `JLSHIM_ENABLE`.  One line is one batch, all or nothing, with one synchronisation.  The reply
//! `error ERRNO TEXT` states why nothing was changed.
//!
//! The child of a fork does not serve: it has no such thread, and closes the socket.  A program
//! that replaces itself by exec opens the socket again.
//!
//! The C library creates the thread, so that a change of user ids applies to it: a thread unknown
//! to the C library would keep privileges that the program has dropped.  A reply is complete
//! before it is sent, so that no lock is held while a client is slow.

mod keys;
mod listener;
mod request;
mod server;

pub(crate) use listener::{set_path, start, stop};
