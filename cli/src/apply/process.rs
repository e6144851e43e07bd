//! `jlctl apply --pid`: applies a plan to a running process.

use super::changes::{changes, refused, verify};
use super::report::{Applied, AppliedProcess, write};
use crate::args::{Apply, Global};
use crate::live::control::control;
use crate::live::mapped::{self, Mapped};
use crate::live::reached::Reached;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::interrupt;
use crate::terminal::output;
use crate::terminal::progress::Progress;
use jlctl_patch_engine::plan_edits;
use jlctl_patch_engine::plan_file::PlanDocument;
use jlctl_patch_engine::process::{self, Control};
use jlctl_patch_engine::target::Target;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

pub(crate) fn run(
    global: &Global,
    args: &Apply,
    pid: i32,
    document: &PlanDocument,
) -> anyhow::Result<Outcome> {
    plan_edits::refuse(document, Target::Process, |_| false).map_err(refused)?;
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
        let edits =
            plan_edits::process_edits(document, &process.biases, reverse).map_err(refused)?;
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
        plan_edits::control_ops(document, &biases, &known, args.reverse).map_err(refused)
    })?;
    let Some(ops) = ops else {
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
