//! `jlctl plan`: makes and checks patch plans.

use super::{check as report, text};
use crate::args::{Global, Plan, PlanFormat};
use crate::open::debug_info;
use crate::open::files::images;
use crate::open::images::{self, Contents, Depth};
use crate::open::input::Input;
use crate::open::plan_document;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use crate::terminal::output::Sink;
use crate::terminal::progress::Progress;
use jlctl_analyzer::debug_info::Frame;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{KeyQuery, SiteId};
use jlctl_patch_engine::check::check;
use jlctl_patch_engine::digest::Digests;
use jlctl_patch_engine::images::ReadImage;
use jlctl_patch_engine::key_set::KeySet;
use jlctl_patch_engine::plan::{self, PlanOptions};
use jlctl_patch_engine::plan_file::{self, Checksum, PlanDocument, SourceRecord};
use jlctl_patch_engine::wish::{Wish, resolve};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn run(global: &Global, args: &Plan) -> anyhow::Result<Outcome> {
    if args.schema {
        output::write_result(global, |sink| {
            Ok(sink.writer.write_all(plan_file::JSON_SCHEMA.as_bytes())?)
        })?;
        return Ok(Outcome::Clean);
    }
    match &args.check {
        Some(path) => run_check(global, args, path),
        None => make(global, args),
    }
}

fn make(global: &Global, args: &Plan) -> anyhow::Result<Outcome> {
    let wishes = wishes(args)?;
    let progress = Progress::new(global);
    let inputs = images::open(&images(&args.images)?, &args.debug_dir, &progress)?;
    let parsed = images::images(&inputs, &progress)?;
    // The checksums of a single image are always needed. They take longest, and are computed while
    // the plan is made.
    let (sum_of_one, made) = rayon::join(
        || (inputs.len() == 1).then(|| sum(&inputs[0], &progress)),
        || checked_document(args, &wishes, &inputs, &parsed, &progress),
    );
    let (mut document, involved) = made?;
    let sums: Vec<Digests> = match sum_of_one {
        Some(sum) => vec![sum],
        None => involved.par_iter().map(|image| sum(&inputs[*image], &progress)).collect(),
    };
    for (image, sum) in document.images.iter_mut().zip(sums) {
        (image.sha256, image.xxh3) = (Checksum(sum.sha256), Checksum(sum.xxh3));
    }
    let format = args.format.unwrap_or(match global.output {
        Some(_) => PlanFormat::Json,
        None => PlanFormat::Text,
    });
    progress.phase("write the plan", 1, |_| {
        output::write_result(global, |sink| write(&document, format, sink))
    })?;
    std::mem::forget((document, parsed));
    Ok(Outcome::Clean)
}

fn sum(input: &Input, progress: &Progress) -> Digests {
    progress.phase("sum the file", 1, |_| Digests::of(input.file().file_bytes()))
}

/// The checked plan, still without the checksums of its images, and the indexes of these images in
/// `inputs`.
fn checked_document<'a>(
    args: &Plan,
    wishes: &[(Wish, KeyQuery)],
    inputs: &'a [Input],
    parsed: &'a [Image<'a>],
    progress: &Progress,
) -> anyhow::Result<(PlanDocument, Vec<usize>)> {
    let depth = if args.no_source { Depth::Names } else { Depth::Source };
    let contents = images::contents(inputs, parsed, depth, progress)?;
    let read = images::read_images(inputs, parsed, &contents);
    let (document, involved) = document(args, wishes, inputs, &contents, &read, progress)?;
    let own: Vec<ReadImage<'_>> = involved.iter().map(|image| read[*image]).collect();
    // The checksums of the same files are filled in later.
    let sums = vec![Digests::default(); own.len()];
    let findings = progress.phase("check the plan", 1, |_| check(&document, &own, &sums));
    if let Some(first) = findings.first() {
        return Err(failure(
            Kind::Refused,
            format!(
                "the plan does not pass its own check (a defect of jlctl); nothing was written: \
                 {first}"
            ),
        ));
    }
    // The process ends soon; freeing the contents would take a tenth of the run.
    std::mem::forget(contents);
    Ok((document, involved))
}

fn document(
    args: &Plan,
    wishes: &[(Wish, KeyQuery)],
    inputs: &[Input],
    contents: &[Contents<'_>],
    read: &[ReadImage<'_>],
    progress: &Progress,
) -> anyhow::Result<(PlanDocument, Vec<usize>)> {
    let set = progress.phase("gather the keys", 1, |_| KeySet::new(read));
    let wanted = resolve(&set, wishes).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        failure(Kind::Refused, texts.join("; "))
    })?;
    let options = PlanOptions { queue: args.queue, cpus: args.cpus };
    let plan = progress
        .phase("plan", 1, |_| plan::plan(read, &set, &wanted, options))
        .map_err(|error| failure(Kind::Refused, error.to_string()))?;
    let involved = plan::involved(&plan, &set);
    let sites: Vec<(usize, SiteId)> = plan.ops.iter().map(|op| (op.image, op.site)).collect();
    let sources = sources(inputs, contents, &sites, progress);
    let document = progress.phase("write it down", 1, |_| {
        let source = |image, site| sources.get(&(image, site)).cloned();
        plan_file::compose(&plan, read, &set, |_| Digests::default(), source)
    });
    Ok((document, involved))
}

/// The frames of sites outside `jump_label.h`.
fn sources(
    inputs: &[Input],
    contents: &[Contents<'_>],
    sites: &[(usize, SiteId)],
    progress: &Progress,
) -> BTreeMap<(usize, SiteId), SourceRecord> {
    let mut by_image: BTreeMap<usize, Vec<SiteId>> = BTreeMap::new();
    for (image, site) in sites {
        by_image.entry(*image).or_default().push(*site);
    }
    let mut found = BTreeMap::new();
    for (image, sites) in by_image {
        let (input, contents) = (&inputs[image], &contents[image]);
        let (Some(debug_info), Some(table)) = (&contents.debug_info, &contents.table) else {
            continue;
        };
        let mut faults = Vec::new();
        let frames = debug_info::frames(debug_info, input, table, &sites, progress, &mut faults);
        for fault in &faults {
            progress.warn(&format!("{}: {}", input.path().display(), fault.defect));
        }
        found.extend(sites.into_iter().filter_map(|site| {
            let frame: &Frame = frames.used_at_frame(site)?;
            let text = |id| frames.all().string(id).to_owned();
            let record = SourceRecord {
                function: frame.function.map(text),
                file: frame.file.map(text),
                line: frame.line,
                column: frame.column,
            };
            Some(((image, site), record))
        }));
    }
    found
}

fn wishes(args: &Plan) -> anyhow::Result<Vec<(Wish, KeyQuery)>> {
    let of = |wish: Wish, queries: &[String]| -> anyhow::Result<Vec<(Wish, KeyQuery)>> {
        let parse = |text: &String| {
            let query = KeyQuery::parse(text);
            let wrong = |error| failure(Kind::Usage, format!("--{} {error}", wish.name()));
            Ok((wish, query.map_err(wrong)?))
        };
        queries.iter().map(parse).collect()
    };
    let mut wishes = of(Wish::Enable, &args.enable)?;
    wishes.extend(of(Wish::Disable, &args.disable)?);
    wishes.extend(of(Wish::Flip, &args.flip)?);
    Ok(wishes)
}

fn run_check(global: &Global, args: &Plan, path: &Path) -> anyhow::Result<Outcome> {
    let progress = Progress::new(global);
    let document = plan_document::read(path)?;
    let paths = plan_document::images(&document, &args.images);
    let inputs = images::open(&paths, &args.debug_dir, &progress)?;
    let parsed = images::images(&inputs, &progress)?;
    let contents = images::contents(&inputs, &parsed, Depth::Tables, &progress)?;
    let read = images::read_images(&inputs, &parsed, &contents);
    let sums: Vec<Digests> = inputs.par_iter().map(|input| sum(input, &progress)).collect();
    let matched = plan_document::matched(&document, &read, &sums)?;
    let images: Vec<ReadImage<'_>> = matched.iter().map(|at| read[*at]).collect();
    let sums: Vec<Digests> = matched.iter().map(|at| sums[*at]).collect();
    let findings = progress.phase("check the plan", 1, |_| check(&document, &images, &sums));
    let format = args.format.unwrap_or(PlanFormat::Text);
    output::write_result(global, |sink| {
        report::write(&path.display().to_string(), &findings, format, sink)
    })?;
    Ok(if findings.is_empty() { Outcome::Clean } else { Outcome::Findings })
}

/// Writes a plan in a format.
///
/// # Errors
/// Errors of the writer.
fn write(document: &PlanDocument, format: PlanFormat, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    match format {
        PlanFormat::Text => text::write(document, sink),
        PlanFormat::Json => Ok(plan_file::write(document, sink.writer)?),
    }
}
