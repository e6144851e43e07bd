//! `jlctl apply --pid`: applies a plan to a running process.

use super::changes::{changes, verify};
use super::report::{Applied, AppliedProcess, write};
use crate::args::{Apply, Global};
use crate::live::control::control;
use crate::live::mapped::{self, Mapped};
use crate::live::reached::Reached;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::interrupt;
use crate::terminal::output;
use crate::terminal::progress::Progress;
use jlctl_analyzer::addr::Svma;
use jlctl_patch_engine::plan_file::{KeyRecord, PlanDocument};
use jlctl_patch_engine::process::{
    self, Bias, Control, ControlKey, ControlOp, MemoryEdit, MemoryEdits,
};
use jlctl_patch_engine::target::Target;
use jlctl_shim::abi::StaticKey;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

pub(crate) fn run(
    global: &Global,
    args: &Apply,
    pid: i32,
    document: &PlanDocument,
) -> anyhow::Result<Outcome> {
    refuse(document)?;
    // The images of a plan are identified by checksum in files, and by build id in memory.
    let all = changes(document, &args.images, args.reverse)?;
    let progress = Progress::new(global);
    verify(document, &all, false, &args.debug_dir, &progress)?;
    let paths: Vec<PathBuf> = all.iter().map(|change| change.path.clone()).collect();
    let mapped = mapped::open(pid, &paths, &args.debug_dir)?.mapped;
    let by_socket = match control(global, pid, &args.reach)? {
        Some(mut control) => by_socket(&mut control, &mapped, document, args)?,
        None => None,
    };
    let process = match by_socket {
        Some(process) => process,
        None => by_ptrace(pid, &mapped, document, args.reverse)?,
    };
    let path = args.plan.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut applied = Applied::new(path, "process", args.reverse);
    applied.process = Some(process);
    output::write_result(global, |sink| write(&applied, args.format, sink))?;
    Ok(Outcome::Clean)
}

/// Applies the plan with all threads stopped.
fn by_ptrace(
    pid: i32,
    mapped: &[Mapped],
    document: &PlanDocument,
    reverse: bool,
) -> anyhow::Result<AppliedProcess> {
    let (edits, pause) = mapped::with(pid, mapped, true, |process| {
        let edits = edits(document, &process.biases, reverse);
        let interrupted = interrupt::flag();
        let is_cancelled = || interrupted.load(Ordering::Relaxed);
        let pause = match edits.is_empty() {
            true => None,
            false => Some(process::apply(process.memory, &edits, &is_cancelled)?),
        };
        Ok((edits, pause))
    })?;
    let (sites, key_words) = (edits.code.len(), edits.words.len());
    Ok(AppliedProcess { pid, sites, key_words, reached: Reached::by_ptrace(pause) })
}

/// Applies the plan by the control socket. `None` if the plan is not a batch of whole keys: if it
/// patches sites without their key, or only some sites of a key.
fn by_socket(
    control: &mut Control,
    mapped: &[Mapped],
    document: &PlanDocument,
    args: &Apply,
) -> anyhow::Result<Option<AppliedProcess>> {
    let (pid, known) = (control.pid(), control.list()?);
    let ops = mapped::with_control(control, mapped, |_, biases| {
        let op = |key: &KeyRecord| op(key, &biases, &known, args.reverse);
        Ok(document.keys.iter().map(op).collect::<Option<Vec<_>>>())
    })?;
    let Some(ops) = ops.filter(|_| !document.keys.is_empty()) else {
        return match args.reach.socket {
            None => Ok(None),
            Some(_) => Err(failure(
                Kind::Refused,
                format!(
                    "process {pid}: the plan is no batch of whole keys that the process knows by \
                     its control socket, on or off once; --ptrace applies it"
                ),
            )),
        };
    };
    let done = control.apply(&ops)?;
    let key_words = done.keys.iter().filter(|(_, before, count)| before != count).count();
    let reached = Reached::by_socket(Some(&done));
    Ok(Some(AppliedProcess { pid, sites: done.sites, key_words, reached }))
}

/// The change of a key in the plan, as a request to the process.
fn op(key: &KeyRecord, biases: &[Bias], known: &[ControlKey], reverse: bool) -> Option<ControlOp> {
    let address = u64::from_str_radix(key.address.strip_prefix("0x")?, 16).ok()?;
    let address = biases.get(key.image?)?.at_run_time(Svma(address));
    let known = known.iter().find(|known| known.address == address)?;
    let (old, new) = (key.old_enabled?, key.new_enabled?);
    let (old, new) = if reverse { (new, old) } else { (old, new) };
    let is_flip = matches!((old, new), (0, 1) | (1, 0)) && key.ops == known.sites;
    let is_same = old == new && key.ops == 0;
    let (is_on, expected) = (StaticKey::is_on(new), Some(old));
    (is_flip || is_same).then_some(ControlOp { address, is_on, expected })
}

/// Refuses a plan that cannot be applied to a process.
fn refuse(document: &PlanDocument) -> anyhow::Result<()> {
    let standing: Vec<String> = document
        .refusals
        .iter()
        .filter(|refusal| refusal.targets.iter().any(|target| target.0 == Target::Process))
        .map(|refusal| format!("{} ({})", refusal.message, refusal.code.0.code()))
        .collect();
    match standing.is_empty() {
        true => Ok(()),
        false => Err(failure(
            Kind::Refused,
            format!("refused for a process; nothing was written: {}", standing.join("; ")),
        )),
    }
}

/// The ops and key words of the plan at their run-time addresses.
fn edits(document: &PlanDocument, biases: &[Bias], reverse: bool) -> MemoryEdits {
    let edit = |image: usize, address: &str, old: &[u8], new: &[u8]| {
        let (old, new) = if reverse { (new, old) } else { (old, new) };
        // The check of the plan has parsed all of them.
        let address = u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
        let address = biases.get(image)?.at_run_time(Svma(address));
        Some(MemoryEdit { address, old: old.to_vec(), new: new.to_vec() })
    };
    let code = document.ops.iter();
    let words = document.key_writes.iter();
    MemoryEdits {
        code: code.filter_map(|op| edit(op.image, &op.address, &op.old.0, &op.new.0)).collect(),
        words: words
            .filter_map(|word| edit(word.image, &word.address, &word.old.0, &word.new.0))
            .collect(),
    }
}
