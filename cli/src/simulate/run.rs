//! `jlctl simulate`: finds the old instructions that another CPU can execute.

use super::litmus::LitmusFile;
use super::svg::svg;
use super::verdicts::{ImageOfPlan, Inquiry, Verdict, verdicts};
use super::{json, text};
use crate::args::SimulateFormat;
use crate::args::{Cache, Global, Simulate};
use crate::open::input::Input;
use crate::open::plan_document;
use crate::simulate::litmus;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::interrupt;
use crate::terminal::output;
use crate::terminal::output::Sink;
use crate::terminal::progress::Progress;
use jlctl_analyzer::image::Image;
use jlctl_patch_engine::digest::Digests;
use jlctl_patch_engine::plan_file::PlanDocument;
use jlctl_patch_engine::simulate::explore::Bounds;
use jlctl_patch_engine::simulate::machine::CacheType;
use jlctl_patch_engine::simulate::plan::{Basis, classes, default_strategy};
use jlctl_patch_engine::simulate::strategy::{Safety, Scheme, Strategy};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

pub(crate) fn run(global: &Global, args: &Simulate) -> anyhow::Result<Outcome> {
    match &args.plan {
        Some(path) => run_plan(global, args, path),
        None => run_litmus(global, args),
    }
}

fn caches(args: &Simulate) -> Option<Vec<CacheType>> {
    Some(match args.cache? {
        Cache::Dic0Idc0 => vec![CacheType::Dic0Idc0],
        Cache::Dic0Idc1 => vec![CacheType::Dic0Idc1],
        Cache::Dic1Idc1 => vec![CacheType::Dic1Idc1],
        Cache::All => CacheType::ALL.to_vec(),
    })
}

fn run_litmus(global: &Global, args: &Simulate) -> anyhow::Result<Outcome> {
    let progress = Progress::new(global);
    let cancel = interrupt::flag();
    let bounds = Bounds { states: args.max_states };
    let files = litmus::judge(&args.litmus, caches(args).as_deref(), bounds, cancel, &progress);
    let is_partial = cancel.load(Ordering::Relaxed);
    output::write_result(global, |sink| write_litmus(&files, is_partial, args.format, sink))?;
    for file in &files {
        let Ok(test) = &file.result else { continue };
        for (cache, judged) in &test.verdicts {
            if judged.unpredictable {
                progress.warn(&format!(
                    "{}: {}: the test modifies words while they execute that the architecture \
                     does not allow to be modified so: behaviour beyond the two words is \
                     CONSTRAINED UNPREDICTABLE",
                    file.path.display(),
                    cache.name()
                ));
            }
        }
    }
    if is_partial {
        progress.warn("interrupted: the result is partial");
    }
    let errors: Vec<String> = files
        .iter()
        .filter_map(|file| {
            Some(format!("{}: {}", file.path.display(), file.result.as_ref().err()?))
        })
        .collect();
    if !errors.is_empty() {
        return Err(failure(Kind::Input, errors.join("\njlctl: ")));
    }
    let is_answered = files.iter().all(litmus::LitmusFile::is_answered);
    Ok(if is_answered { Outcome::Clean } else { Outcome::Findings })
}

fn run_plan(global: &Global, args: &Simulate, path: &Path) -> anyhow::Result<Outcome> {
    let progress = Progress::new(global);
    let named = strategies(&args.strategy)?;
    let document = progress.phase("read the plan", 1, |_| plan_document::read(path))?;
    let refused = |error: jlctl_patch_engine::simulate::plan::NotSimulated| {
        failure(Kind::Refused, format!("{}: {error}", path.display()))
    };
    let classes = classes(&document).map_err(refused)?;
    let (inputs, images) = open(args, &document, &progress)?;
    let read: Vec<Image<'_>> = progress.phase("read the images", 1, |_| {
        inputs.iter().map(|input| input.image(&Progress::none())).collect::<anyhow::Result<_>>()
    })?;
    let strategies: Vec<(Strategy, Option<Basis>)> = if named.is_empty() {
        let (strategy, basis) = default_strategy(&document, &read).map_err(refused)?;
        vec![(strategy, Some(basis))]
    } else {
        named.into_iter().map(|strategy| (strategy, None)).collect()
    };
    let inquiry = Inquiry {
        plan: path.display().to_string(),
        images,
        ops: document.ops.len(),
        classes,
        strategies,
        caches: caches(args).unwrap_or(CacheType::ALL.to_vec()),
        pes: usize::from(args.pes),
        bounds: Bounds { states: args.max_states },
    };
    let cancel = interrupt::flag();
    let found = verdicts(&inquiry, cancel, &progress);
    let is_partial = cancel.load(Ordering::Relaxed);
    output::write_result(global, |sink| write(&inquiry, &found, is_partial, args.format, sink))?;
    if let Some(svg) = &args.svg {
        draw(global, svg, &found, &progress)?;
    }
    if is_partial {
        progress.warn("interrupted: the result is partial");
    }
    let is_safe = found.iter().all(|verdict| verdict.safety() == Safety::Safe);
    Ok(if is_safe { Outcome::Clean } else { Outcome::Findings })
}

fn draw(
    global: &Global,
    path: &Path,
    found: &[Verdict],
    progress: &Progress,
) -> anyhow::Result<()> {
    let stale = found.iter().find_map(|verdict| Some((verdict, verdict.trace.as_ref()?)));
    let Some((verdict, (reading, trace))) = stale else {
        progress.warn(&format!("{}: not written: no stale execution to draw", path.display()));
        return Ok(());
    };
    let to = Global { output: Some(path.to_owned()), ..*global };
    output::write_result(&to, |sink| {
        let text = svg(&verdict.strategy.name(), verdict.cache, *reading, trace);
        Ok(sink.writer.write_all(text.as_bytes())?)
    })
}

fn strategies(names: &[String]) -> anyhow::Result<Vec<Strategy>> {
    let mut all = Vec::new();
    for name in names {
        if name == "all" {
            all.extend(Scheme::ALL.map(Strategy::full));
            continue;
        }
        let unknown = || {
            let known = Scheme::ALL.map(Scheme::name).join(", ");
            let text = format!(
                "--strategy {name}: expected all or one of {known}, with +no-maintenance, +no-dc, \
                 +no-ic, +dmb-for-dsb or +no-dsb-after-ic or alone"
            );
            failure(Kind::Usage, text)
        };
        all.push(Strategy::named(name).ok_or_else(unknown)?);
    }
    let mut seen = Vec::new();
    all.retain(|strategy| {
        let is_new = !seen.contains(strategy);
        seen.push(*strategy);
        is_new
    });
    Ok(all)
}

/// The images of the plan that can be read. A named image must be an image of the plan; without
/// names, the paths that the plan records are used if they still have its images.
fn open(
    args: &Simulate,
    document: &PlanDocument,
    progress: &Progress,
) -> anyhow::Result<(Vec<Input>, Vec<ImageOfPlan>)> {
    let paths: Vec<PathBuf> = plan_document::images(document, &args.images);
    let is_named = !args.images.is_empty();
    let mut inputs = Vec::new();
    let mut images = Vec::new();
    for path in paths {
        let opened = Input::open(&path, &args.debug_dir, &Progress::none());
        let input = match opened {
            Ok(input) => input,
            Err(error) if is_named => return Err(error),
            Err(_) => {
                images.push(missing(document, &path, "it does not exist, or is not an image"));
                continue;
            }
        };
        let sums = progress.phase("sum the file", 1, |_| Digests::of(input.file().file_bytes()));
        let record = document.images.iter().find(|image| image.sha256.0 == sums.sha256);
        match record {
            Some(record) => {
                let release = record.release.clone();
                let path = path.display().to_string();
                images.push(ImageOfPlan { path, release, missing: None });
                inputs.push(input);
            }
            None if is_named => {
                let text = format!("{}: the plan is for other images", path.display());
                return Err(failure(Kind::Refused, text));
            }
            None => images.push(missing(document, &path, "the file has changed")),
        }
    }
    Ok((inputs, images))
}

fn missing(document: &PlanDocument, path: &Path, why: &str) -> ImageOfPlan {
    let path = path.display().to_string();
    let record = document.images.iter().find(|image| image.path == path);
    let release = record.and_then(|record| record.release.clone());
    ImageOfPlan { path, release, missing: Some(why.to_owned()) }
}

/// Writes the verdicts on a plan.
///
/// # Errors
/// Errors of the writer.
fn write(
    inquiry: &Inquiry,
    verdicts: &[Verdict],
    is_partial: bool,
    format: SimulateFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        SimulateFormat::Text => text::write(inquiry, verdicts, is_partial, sink),
        SimulateFormat::Json => json::write(inquiry, verdicts, is_partial, sink.writer),
    }
}

/// Writes the verdicts on litmus tests.
///
/// # Errors
/// Errors of the writer.
fn write_litmus(
    files: &[LitmusFile],
    is_partial: bool,
    format: SimulateFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    match format {
        SimulateFormat::Text => litmus::text(files, sink.writer),
        SimulateFormat::Json => litmus::json(files, is_partial, sink.writer),
    }
}
