//! `jlctl audit`: compares the code of a running process with its keys.

use super::report::{AuditReport, write_audit};
use crate::args::Audit;
use crate::args::Global;
use crate::live::mapped;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use jlctl_patch_engine::key_set::{KeySet, SetKey};
use jlctl_patch_engine::process::{Live, ProcessError, Stale};
use std::time::Duration;

/// How often a site that differs is read again, and the time between two reads.
const AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(40);

pub(crate) fn run(global: &Global, args: &Audit) -> anyhow::Result<Outcome> {
    let Some(pid) = args.pid else {
        return Err(failure(Kind::Usage, "expected --pid PID"));
    };
    let files = mapped::open(pid, &args.images, &args.debug_dir)?;
    files.warn(global, pid);
    let report = mapped::with(pid, &files.mapped, false, |process| {
        let set = KeySet::new(process.read);
        let live = Live { images: process.read, biases: &process.biases, memory: process.memory };
        let mut report = AuditReport::new(pid, &live, &set, files.unread.clone());
        for key in set.keys() {
            match live.enabled(key)? {
                None => report.unknown(key),
                Some(_) => report.add(&live, key, &lasting(&live, key)?),
            }
        }
        Ok(report)
    })?;
    output::write_result(global, |sink| write_audit(&report, args.format, sink))?;
    Ok(if report.is_clean() { Outcome::Clean } else { Outcome::Findings })
}

/// The sites of a key that differ in every read.
fn lasting(live: &Live<'_>, key: &SetKey) -> Result<Vec<Stale>, ProcessError> {
    let mut stale = live.stale(key)?;
    for _ in 0..AGAIN {
        if stale.is_empty() {
            break;
        }
        std::thread::sleep(PAUSE);
        let now = live.stale(key)?;
        stale.retain(|before| now.iter().any(|now| now.address == before.address));
    }
    Ok(stale)
}
