//! How a process was reached, and what made its other threads execute new code.

use crate::terminal::style::count;
use jlctl_patch_engine::process::{ControlDone, Pause};
use serde::Serialize;

/// How a stop of all threads synchronises the other CPUs.
const PTRACE_STOP: &str = "ptrace-stop";

/// How a process was reached: fields of jlctl.ctl/1 and of `process` in jlctl.apply/1.
#[derive(Debug, Serialize)]
pub(crate) struct Reached {
    /// `ptrace`, `control-socket`, or `memory` where nothing was to be written.
    way: &'static str,
    /// What made the other CPUs execute the new code; null where nothing was written.
    synchronised_by: Option<String>,
    /// How sure that is, `strict` or `best-effort`; null where nothing was written.
    sync_level: Option<String>,
    /// How many threads were stopped; null by the control socket, which stops none.
    threads: Option<usize>,
    /// From the first that was asked to stop until the last went on, in nanoseconds; likewise.
    pause_ns: Option<u64>,
}

impl Reached {
    /// By reading its memory.
    pub(crate) const fn by_memory() -> Self {
        let (synchronised_by, sync_level) = (None, None);
        Self { way: "memory", synchronised_by, sync_level, threads: None, pause_ns: None }
    }

    /// By a stop of all threads; none where nothing had to be written.
    pub(crate) fn by_ptrace(pause: Option<Pause>) -> Self {
        Self {
            way: "ptrace",
            synchronised_by: pause.map(|_| PTRACE_STOP.to_owned()),
            sync_level: pause.map(|_| "strict".to_owned()),
            threads: pause.map(|pause| pause.threads),
            pause_ns: pause.map(|pause| u64::try_from(pause.time.as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    /// By its control socket; none where it was only asked.
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

    /// For people: what made all execute the new code; none where nothing was written.
    pub(crate) fn text(&self) -> Option<String> {
        if let (Some(threads), Some(pause)) = (self.threads, self.pause_ns) {
            let (threads, microseconds) = (count(threads, "thread"), pause / 1_000);
            return Some(format!("all CPUs, by stopping {threads} for {microseconds} µs"));
        }
        let (method, level) = (self.synchronised_by.as_ref()?, self.sync_level.as_ref()?);
        Some(format!("{level}: {method}, by its control socket; no thread was stopped"))
    }
}
