//! `jlctl apply`: applies a plan to files.

use super::changes::{FileChange, changes, refuse, signature_start, verify, with_identity};
use super::process;
use super::report::{Applied, SplitKey, write, write_recovery};
use crate::args::{Apply, Global};
use crate::open::plan_document;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use crate::terminal::progress::Progress;
use jlctl_patch_engine::apply::{self, ApplyReport, Durability};
use jlctl_patch_engine::plan_file::PlanDocument;
use jlctl_patch_engine::reason::Reason;
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, args: &Apply) -> anyhow::Result<Outcome> {
    // The result goes to OUT, the report to standard output.
    let report_to = Global { output: None, ..*global };
    if let Some(image) = &args.recover {
        let recovery = apply::recover(image)?;
        let image = image.display().to_string();
        output::write_result(&report_to, |sink| {
            write_recovery(&image, &recovery, args.format, sink)
        })?;
        return Ok(Outcome::Clean);
    }
    let Some(path) = &args.plan else {
        return Err(failure(Kind::Usage, "expected PLAN"));
    };
    let progress = Progress::new(global);
    let document = progress.phase("read the plan", 1, |_| plan_document::read(path))?;
    if let Some(pid) = args.pid {
        return process::run(global, args, pid, &document);
    }
    refuse(&document, args)?;
    let all = changes(&document, &args.images, args.reverse)?;
    let mut applied = Applied::new(path.display().to_string(), mode(args), args.reverse);
    applied.split_keys = split_keys(&document, args.reverse);
    let changing = all.iter().filter(|change| !change.edits.writes.is_empty()).count();
    let mut checked = false;
    if changing != 1 {
        // No file is written before all files are verified.
        verify(&document, &all, args.reverse, &args.debug_dir, &progress)?;
        checked = true;
        for change in &all {
            apply::dry_run(&change.patch(args, None))
                .map_err(|error| with_identity(error.into(), change))?;
        }
    }
    for change in all.iter().filter(|change| !change.edits.writes.is_empty()) {
        let also = || match checked {
            true => Ok(()),
            false => verify(&document, &all, args.reverse, &args.debug_dir, &progress),
        };
        let report = one(global, args, change, changing, also, &progress)
            .map_err(|error| with_identity(error, change))?;
        applied.add(
            &report,
            (change.edits.sites, change.edits.key_words),
            change.edits.image.build_id.is_some(),
            signature(args, change),
        );
    }
    output::write_result(&report_to, |sink| write(&applied, args.format, sink))?;
    Ok(Outcome::Clean)
}

fn mode(args: &Apply) -> &'static str {
    match (args.dry_run, args.in_place) {
        (true, _) => "dry-run",
        (_, true) => "in-place",
        _ => "copy",
    }
}

fn one(
    global: &Global,
    args: &Apply,
    change: &FileChange<'_>,
    changing: usize,
    also: impl FnOnce() -> anyhow::Result<()> + Send,
    progress: &Progress,
) -> anyhow::Result<ApplyReport> {
    let cut_to = match args.drop_signature && change.edits.image.signed && !args.reverse {
        true => Some(signature_start(&change.path)?),
        false => None,
    };
    let patch = change.patch(args, cut_to);
    if args.dry_run {
        let report = progress.phase("recognise the image", 1, |_| apply::dry_run(&patch))?;
        return also().map(|()| report);
    }
    if args.in_place {
        return progress.phase("patch the image", 1, |_| apply::in_place(&patch, also));
    }
    let out = out(global, change, changing)?;
    let durability = if args.sync { Durability::Disk } else { Durability::Cache };
    progress.phase("copy and patch", 1, |_| apply::copy(&patch, &out, durability, also))
}

/// The path of an image's copy: OUT, or a file in OUT if there are several.
fn out(global: &Global, change: &FileChange<'_>, changing: usize) -> anyhow::Result<PathBuf> {
    let out = global.output.as_deref().unwrap_or(Path::new(""));
    if changing == 1 && !out.is_dir() {
        return Ok(out.to_owned());
    }
    if !out.is_dir() {
        return Err(failure(
            Kind::Usage,
            format!(
                "-o {}: the plan changes {changing} images: expected a directory that exists",
                out.display()
            ),
        ));
    }
    let name = change.path.file_name().unwrap_or_default();
    Ok(out.join(name))
}

fn signature(args: &Apply, change: &FileChange<'_>) -> &'static str {
    match change.edits.image.signed {
        false => "none",
        true if args.reverse => "sound",
        true if args.drop_signature => "dropped",
        true => "broken",
    }
}

/// Keys whose sites are in the file, but not their words.
fn split_keys(document: &PlanDocument, reverse: bool) -> Vec<SplitKey> {
    let state = |on: bool| if on { "on" } else { "off" };
    document
        .refusals
        .iter()
        .filter(|refusal| refusal.code.0 == Reason::ZeroFilled && !reverse)
        .filter_map(|refusal| document.keys.get(refusal.key?))
        .map(|key| SplitKey {
            name: key.name.clone(),
            code: state(key.new_enabled.is_some_and(|count| count != 0)),
            counter: state(key.old_enabled.is_some_and(|count| count != 0)),
        })
        .collect()
}
