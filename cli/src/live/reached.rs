//! How a process was reached, and how its other threads were synchronised.

use crate::terminal::style::count;
use jlctl_patch_engine::process::{ControlDone, Pause};
use serde::Serialize;

/// The name of the synchronisation by a stop of all threads.
const PTRACE_STOP: &str = "ptrace-stop";

/// How a process was reached: fields of jlctl.ctl/1 and of `process` in jlctl.apply/1.
#[derive(Debug, Serialize)]
pub(crate) struct Reached {
    /// `ptrace`, `control-socket`, or `memory` if there was nothing to write.
    way: &'static str,
    /// The method that synchronised the other CPUs; null if nothing was written.
    synchronised_by: Option<String>,
    /// The guarantee of that method, `strict` or `best-effort`; null if nothing was written.
    sync_level: Option<String>,
    /// The number of threads that were stopped; null by the control socket, which stops no thread.
    threads: Option<usize>,
    /// Time from the first stop request until the last thread continued, in nanoseconds; null by
    /// the control socket.
    pause_ns: Option<u64>,
}

impl Reached {
    /// Reached by reading its memory.
    pub(crate) const fn by_memory() -> Self {
        let (synchronised_by, sync_level) = (None, None);
        Self { way: "memory", synchronised_by, sync_level, threads: None, pause_ns: None }
    }

    /// Reached by a stop of all threads; `pause` is `None` if nothing had to be written.
    pub(crate) fn by_ptrace(pause: Option<Pause>) -> Self {
        Self {
            way: "ptrace",
            synchronised_by: pause.map(|_| PTRACE_STOP.to_owned()),
            sync_level: pause.map(|_| "strict".to_owned()),
            threads: pause.map(|pause| pause.threads),
            pause_ns: pause.map(|pause| u64::try_from(pause.time.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    /// Reached by its control socket; `done` is `None` if nothing was flipped.
    pub(crate) fn by_socket(done: Option<&ControlDone>) -> Self {
        let (level, method) = done.and_then(|done| done.sync.clone()).unzip();
        let (threads, pause_ns) = (None, None);
        Self {
            way: "control-socket",
            synchronised_by: method,
            sync_level: level,
            threads,
            pause_ns,
        }
    }

    /// The synchronisation as text; `None` if nothing was written.
    pub(crate) fn text(&self) -> Option<String> {
        if let (Some(threads), Some(pause)) = (self.threads, self.pause_ns) {
            let (threads, microseconds) = (count(threads, "thread"), pause / 1_000);
            return Some(format!("all CPUs, by stopping {threads} for {microseconds} µs"));
        }
        let (method, level) = (self.synchronised_by.as_ref()?, self.sync_level.as_ref()?);
        Some(format!("{level}: {method}, by its control socket; no thread was stopped"))
    }
}
