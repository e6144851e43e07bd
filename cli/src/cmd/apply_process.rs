//! `jlctl apply --pid`: writes what a plan says into a running process.

use crate::apply_plan::{changes, verify};
use crate::args::{Apply, Global};
use crate::exit::{Kind, Outcome, failure};
use crate::progress::Progress;
use crate::report::apply::{Applied, AppliedProcess, write};
use crate::report::live::{PTRACE_STOP, nanoseconds};
use crate::{interrupt, output, process_input};
use jlctl_analyzer::addr::Svma;
use jlctl_patch_engine::plan_file::Document;
use jlctl_patch_engine::process::{self, Bias, Edit, Edits};
use jlctl_patch_engine::target::Target;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

pub(crate) fn run(
    global: &Global,
    args: &Apply,
    pid: i32,
    document: &Document,
) -> anyhow::Result<Outcome> {
    refuse(document)?;
    // A plan's images are known by their sums as files, and by their build ids in memory.
    let all = changes(document, &args.images, args.reverse)?;
    let progress = Progress::new(global);
    verify(document, &all, false, &args.debug_dir, &progress)?;
    let paths: Vec<PathBuf> = all.iter().map(|change| change.path.clone()).collect();
    let mapped = process_input::open(pid, &paths, &args.debug_dir)?;
    let (edits, pause) = process_input::with(pid, &mapped, true, |process| {
        let edits = edits(document, &process.biases, args.reverse);
        let interrupted = interrupt::flag();
        let is_cancelled = || interrupted.load(Ordering::Relaxed);
        let pause = match edits.is_empty() {
            true => None,
            false => Some(process::apply(&process.memory, &edits, &is_cancelled)?),
        };
        Ok((edits, pause))
    })?;
    let path = args.plan.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut applied = Applied::new(path, "process", args.reverse);
    applied.process = Some(AppliedProcess {
        pid,
        sites: edits.code.len(),
        key_words: edits.words.len(),
        synchronised_by: pause.map(|_| PTRACE_STOP),
        threads: pause.map(|pause| pause.threads),
        pause_ns: pause.map(nanoseconds),
    });
    output::write_result(global, |sink| write(&applied, args.format, sink))?;
    Ok(Outcome::Clean)
}

/// Refuses what a process cannot have.
fn refuse(document: &Document) -> anyhow::Result<()> {
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

/// The plan's ops and words at their addresses at run time.
fn edits(document: &Document, biases: &[Bias], reverse: bool) -> Edits {
    let edit = |image: usize, address: &str, old: &[u8], new: &[u8]| {
        let (old, new) = if reverse { (new, old) } else { (old, new) };
        // The check of the plan has read them all.
        let address = u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
        let address = biases.get(image)?.at_run_time(Svma(address));
        Some(Edit { address, old: old.to_vec(), new: new.to_vec() })
    };
    let code = document.ops.iter();
    let words = document.key_writes.iter();
    Edits {
        code: code.filter_map(|op| edit(op.image, &op.address, &op.old.0, &op.new.0)).collect(),
        words: words
            .filter_map(|word| edit(word.image, &word.address, &word.old.0, &word.new.0))
            .collect(),
    }
}
