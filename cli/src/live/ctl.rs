//! `jlctl ctl`: lists and flips the keys of a running process.

use super::control::{chosen, control};
use super::ctl_socket as socket;
use super::mapped::{self, Mapped};
use super::reached::Reached;
use super::report::{CtlKey, CtlReport, write_ctl};
use crate::args::Global;
use crate::args::{Action, Common, Ctl};
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::interrupt;
use crate::terminal::output;
use jlctl_patch_engine::key_set::KeySet;
use jlctl_patch_engine::process::{self, FlipError, Live, Memory, MemoryEdits, Pause};
use jlctl_patch_engine::wish::Wish;
use std::sync::atomic::Ordering;

pub(crate) fn run(global: &Global, args: &Ctl) -> anyhow::Result<Outcome> {
    let (keys, common, wish) = match &args.action {
        Action::List(keys) => (&keys.keys, &keys.common, None),
        Action::Enable(keys) => (&keys.keys, &keys.common, Some(Wish::Enable)),
        Action::Disable(keys) => (&keys.keys, &keys.common, Some(Wish::Disable)),
    };
    let control = control(global, args.pid, &args.reach)?;
    let files = mapped::open(args.pid, &common.image, &common.debug_dir)?;
    files.warn(global, args.pid);
    let mapped = &files.mapped;
    let mut report = match (wish, control) {
        (Some(wish), Some(mut control)) => socket::flip(&mut control, mapped, keys, wish)?,
        (None, Some(mut control)) if !can_be_read(args) => {
            socket::list(&mut control, mapped, keys)?
        }
        _ => by_memory(args.pid, mapped, keys, wish)?,
    };
    report.unread = files.unread;
    write(global, common, &report)?;
    Ok(Outcome::Clean)
}

/// Whether a list can compare sites with keys: that takes access to the memory of the process,
/// which may require root.
fn can_be_read(args: &Ctl) -> bool {
    args.reach.socket.is_none() && Memory::open(args.pid, false).is_ok()
}

fn by_memory(
    pid: i32,
    mapped: &[Mapped],
    keys: &[String],
    wish: Option<Wish>,
) -> anyhow::Result<CtlReport> {
    mapped::with(pid, mapped, wish.is_some(), |process| {
        let set = KeySet::new(process.read);
        let live = Live { images: process.read, biases: &process.biases, memory: process.memory };
        match wish {
            None => list(pid, &live, &set, keys),
            Some(wish) => flip(pid, &live, &set, keys, wish),
        }
    })
}

fn write(global: &Global, common: &Common, report: &CtlReport) -> anyhow::Result<()> {
    output::write_result(global, |sink| write_ctl(report, common.format, sink))
}

fn list(pid: i32, live: &Live<'_>, set: &KeySet, keys: &[String]) -> anyhow::Result<CtlReport> {
    let mut found = Vec::new();
    for at in chosen(set, keys, Wish::Flip)?.into_keys() {
        let Some(key) = set.keys().get(at) else { continue };
        let (enabled, stale) = (live.enabled(key)?, live.stale(key)?.len());
        found.push(CtlKey::of(live.images, live.biases, key, (enabled, enabled), Some(stale)));
    }
    Ok(CtlReport::new(pid, "list", Reached::by_memory(), found))
}

fn flip(
    pid: i32,
    live: &Live<'_>,
    set: &KeySet,
    keys: &[String],
    wish: Wish,
) -> anyhow::Result<CtlReport> {
    let (mut edits, mut flipped_keys, mut refused) =
        (MemoryEdits::default(), Vec::new(), Vec::new());
    for at in chosen(set, keys, wish)?.into_keys() {
        let Some(key) = set.keys().get(at) else { continue };
        match live.flip(key, key.name.full(), wish, &mut edits) {
            Ok(flipped) => {
                let counts = (Some(flipped.old), Some(flipped.new));
                let key = CtlKey::of(live.images, live.biases, key, counts, Some(flipped.sites));
                flipped_keys.push(key);
            }
            Err(FlipError::Process(error)) => return Err(error.into()),
            Err(error) => refused.push(error.to_string()),
        }
    }
    if !refused.is_empty() {
        let text = format!("process {pid}: nothing was written: {}", refused.join("; "));
        return Err(failure(Kind::Refused, text));
    }
    let pause: Option<Pause> = if edits.is_empty() {
        None
    } else {
        let interrupted = interrupt::flag();
        let is_cancelled = || interrupted.load(Ordering::Relaxed);
        Some(process::apply(live.memory, &edits, &is_cancelled)?)
    };
    Ok(CtlReport::new(pid, wish.name(), Reached::by_ptrace(pause), flipped_keys))
}
