//! `jlctl ctl` by the control socket of a process, which flips its keys itself.

use super::control::chosen;
use super::mapped::{self, Mapped};
use super::reached::Reached;
use super::report::{CtlKey, CtlReport};
use jlctl_analyzer::addr::Svma;
use jlctl_patch_engine::key_set::{KeySet, SetKey};
use jlctl_patch_engine::process::{Bias, Control, ControlKey, ControlOp, FlipError};
use jlctl_patch_engine::wish::Wish;

/// Lists the selected keys, with their counts.
pub(super) fn list(
    control: &mut Control,
    mapped: &[Mapped],
    keys: &[String],
) -> anyhow::Result<CtlReport> {
    let (pid, known) = (control.pid(), control.list()?);
    mapped::with_control(control, mapped, |read, biases| {
        let set = KeySet::new(read);
        let mut found = Vec::new();
        for at in chosen(&set, keys, Wish::Flip)?.into_keys() {
            let Some(key) = set.keys().get(at) else { continue };
            let count = address(key, &biases).and_then(|address| of(&known, address));
            let count = count.map(|known| known.count);
            found.push(CtlKey::of(read, &biases, key, (count, count), None));
        }
        Ok(CtlReport::new(pid, "list", Reached::by_socket(None), found))
    })
}

/// Flips the selected keys, in one batch.
pub(super) fn flip(
    control: &mut Control,
    mapped: &[Mapped],
    keys: &[String],
    wish: Wish,
) -> anyhow::Result<CtlReport> {
    let wanted = mapped::with_control(control, mapped, |read, biases| {
        let set = KeySet::new(read);
        let mut ops = Vec::new();
        for at in chosen(&set, keys, wish)?.into_keys() {
            let Some(key) = set.keys().get(at) else { continue };
            let elsewhere = || FlipError::Elsewhere { key: key.name.full().to_owned() };
            let address = address(key, &biases).ok_or_else(elsewhere)?;
            let reported = CtlKey::of(read, &biases, key, (None, None), None);
            ops.push((
                ControlOp { address, is_on: wish == Wish::Enable, expected: None },
                reported,
            ));
        }
        Ok(ops)
    })?;
    let (ops, mut reported): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    let done = control.apply(&ops)?;
    for (op, key) in ops.iter().zip(&mut reported) {
        let changed = done.keys.iter().find(|(address, ..)| *address == op.address);
        if let Some((_, before, count)) = changed {
            key.changed(*before, *count);
        }
    }
    let reached = Reached::by_socket(Some(&done));
    Ok(CtlReport::new(control.pid(), wish.name(), reached, reported))
}

/// The run-time address of a key, if an image of the process defines it.
fn address(key: &SetKey, biases: &[Bias]) -> Option<u64> {
    let word = key.key.word_address();
    Some(biases.get(key.home?)?.at_run_time(Svma(word.0)))
}

fn of(known: &[ControlKey], address: u64) -> Option<&ControlKey> {
    known.iter().find(|key| key.address == address)
}
