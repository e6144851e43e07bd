//! `jlctl ctl`: lists and flips the keys of a running process.

use crate::args::Global;
use crate::args::live::{Action, Common, Ctl};
use crate::exit::{Kind, Outcome, failure};
use crate::report::live::{CtlKey, CtlReport, write_ctl};
use crate::{interrupt, output, process_input};
use jlctl_analyzer::jump_table::KeyQuery;
use jlctl_patch_engine::key_set::KeySet;
use jlctl_patch_engine::process::{self, Edits, FlipError, Live, Pause};
use jlctl_patch_engine::wanted::{Wish, resolve};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

pub(crate) fn run(global: &Global, args: &Ctl) -> anyhow::Result<Outcome> {
    let (keys, common, wish) = match &args.action {
        Action::List(keys) => (&keys.keys, &keys.common, None),
        Action::Enable(keys) => (&keys.keys, &keys.common, Some(Wish::Enable)),
        Action::Disable(keys) => (&keys.keys, &keys.common, Some(Wish::Disable)),
    };
    let mapped = process_input::open(args.pid, &common.image, &common.debug_dir)?;
    let report = process_input::with(args.pid, &mapped, wish.is_some(), |process| {
        let set = KeySet::new(process.read);
        let live = Live { images: process.read, biases: &process.biases, memory: &process.memory };
        match wish {
            None => list(args.pid, &live, &set, keys),
            Some(wish) => flip(args.pid, &live, &set, keys, wish),
        }
    })?;
    write(global, common, &report)?;
    Ok(Outcome::Clean)
}

fn write(global: &Global, common: &Common, report: &CtlReport) -> anyhow::Result<()> {
    output::write_result(global, |sink| write_ctl(report, common.format, sink))
}

/// The keys of the set that are named, by index, or all.
fn chosen(set: &KeySet, keys: &[String], wish: Wish) -> anyhow::Result<BTreeMap<usize, Wish>> {
    if keys.is_empty() {
        return Ok((0..set.keys().len()).map(|key| (key, wish)).collect());
    }
    let query = |text: &String| match KeyQuery::parse(text) {
        Ok(query) => Ok((wish, query)),
        Err(error) => Err(failure(Kind::Usage, error.to_string())),
    };
    let wishes: Vec<(Wish, KeyQuery)> = keys.iter().map(query).collect::<anyhow::Result<_>>()?;
    resolve(set, &wishes).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        failure(Kind::Refused, texts.join("; "))
    })
}

fn list(pid: i32, live: &Live<'_>, set: &KeySet, keys: &[String]) -> anyhow::Result<CtlReport> {
    let mut found = Vec::new();
    for at in chosen(set, keys, Wish::Flip)?.into_keys() {
        let Some(key) = set.keys().get(at) else { continue };
        let (enabled, stale) = (live.enabled(key)?, live.stale(key)?.len());
        found.push(CtlKey::of(live.images, live.biases, key, (enabled, enabled), stale));
    }
    Ok(CtlReport::new(pid, "list", None, found))
}

fn flip(
    pid: i32,
    live: &Live<'_>,
    set: &KeySet,
    keys: &[String],
    wish: Wish,
) -> anyhow::Result<CtlReport> {
    let (mut edits, mut flipped_keys, mut refused) = (Edits::default(), Vec::new(), Vec::new());
    for at in chosen(set, keys, wish)?.into_keys() {
        let Some(key) = set.keys().get(at) else { continue };
        match live.flip(key, key.name.full(), wish, &mut edits) {
            Ok(flipped) => {
                let counts = (Some(flipped.old), Some(flipped.new));
                let key = CtlKey::of(live.images, live.biases, key, counts, flipped.sites);
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
    Ok(CtlReport::new(pid, wish.name(), pause, flipped_keys))
}
