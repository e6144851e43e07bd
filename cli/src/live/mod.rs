//! `jlctl ctl` and `jlctl audit`: the keys and the code of a running process.

mod audit;
pub(crate) mod control;
mod ctl;
mod ctl_socket;
pub(crate) mod mapped;
pub(crate) mod reached;
mod report;

pub(crate) use audit::run as audit;
pub(crate) use ctl::run as ctl;
