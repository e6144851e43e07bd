//! A plan as text: the changes, site by site, and the refusals.

use crate::terminal::output::Sink;
use crate::terminal::style::{
    Palette, aligned, common_root, count, function_name, grouped, heading, label, printable,
    right_align, rows,
};
use jlctl_patch_engine::plan_file::{
    CostRecord, ImageRecord, KeyRecord, OpRecord, PlanDocument, RefusalRecord, StrategyRecord,
};
use std::io::Write;

pub(super) fn write(document: &PlanDocument, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let palette = Palette::new(sink.color);
    let out = &mut *sink.writer;
    head(out, &palette, document)?;
    let files = document.ops.iter().filter_map(|op| op.source.as_ref()?.file.as_deref());
    let root = common_root(files);
    let mut first = 0;
    for (at, key) in document.keys.iter().enumerate() {
        let ops = document.ops.get(first..).unwrap_or_default();
        let ops = &ops[..ops.iter().take_while(|op| op.key == at).count()];
        first += ops.len();
        heading(out, &palette, &key_line(key))?;
        sites(out, &palette, document, ops, root)?;
    }
    refusals(out, &palette, document)?;
    deferrals(out, &palette, document)?;
    cost(out, &palette, &document.cost)
}

fn head(out: &mut dyn Write, palette: &Palette, document: &PlanDocument) -> anyhow::Result<()> {
    for image in &document.images {
        label(out, palette, "image", &printable(&image.path))?;
        label(out, palette, "", &identity(document, image))?;
    }
    let (ops, sites): (usize, usize) =
        document.keys.iter().fold((0, 0), |(ops, sites), key| (ops + key.ops, sites + key.sites));
    let keys = count(document.keys.len(), "key");
    label(out, palette, "keys", &format!("{keys} with {}", count(sites, "site")))?;
    let batches = match document.batches.len() {
        1 => "1 batch".to_owned(),
        batches => format!("{} batches", grouped(batches)),
    };
    let bound = document.queue.map_or(String::new(), |queue| format!(" of at most {queue}"));
    let cost = &document.cost;
    let patches = format!(
        "{} in {batches}{bound}; {}, {}",
        count(ops, "site"),
        count(cost.pages, "page"),
        count(cost.cache_lines, "cache line")
    );
    label(out, palette, "patches", &patches)?;
    label(out, palette, "writes", &count(document.key_writes.len(), "key word"))?;
    label(out, palette, "sync", &format!("{} after each batch, live", document.sync.0.name()))?;
    if !document.refusals.is_empty() {
        let targets: std::collections::BTreeSet<&str> = document
            .refusals
            .iter()
            .flat_map(|refusal| refusal.targets.iter().map(|target| target.0.name()))
            .collect();
        let targets: Vec<&str> = targets.into_iter().collect();
        label(out, palette, "refused", &format!("for {}, see below", targets.join(", ")))?;
    }
    Ok(())
}

fn identity(document: &PlanDocument, image: &ImageRecord) -> String {
    let mut parts = vec![format!("{} {}", document.arch, document.world.0.name())];
    parts.extend(image.release.as_deref().map(printable));
    parts.extend(image.build_id.as_ref().map(|id| format!("build id {id}")));
    parts.extend(image.container.as_ref().map(|container| format!("in {container}")));
    parts.extend(image.signed.then(|| "signed".to_owned()));
    parts.join(", ")
}

fn key_line(key: &KeyRecord) -> String {
    let state = |enabled: Option<i32>| match enabled {
        None => "?",
        Some(0) => "off",
        Some(_) => "on",
    };
    let counts = |enabled: Option<i32>| enabled.map_or("?".to_owned(), |count| count.to_string());
    let change = match key.new_enabled {
        None => format!("{}, refused", state(key.old_enabled)),
        new if new == key.old_enabled => format!("stays {}", state(new)),
        new => format!(
            "{} → {} (enabled {} → {})",
            state(key.old_enabled),
            state(new),
            counts(key.old_enabled),
            counts(new)
        ),
    };
    let rest = match key.sites - key.ops {
        _ if key.new_enabled.is_none() => String::new(),
        0 => String::new(),
        as_wanted => format!(", {} already in the wanted state", grouped(as_wanted)),
    };
    let patched = match key.ops {
        0 => "no site to patch".to_owned(),
        ops => format!("{} to patch", count(ops, "site")),
    };
    format!("{}  {change}; {patched}{rest}", printable(&key.name))
}

fn sites(
    out: &mut dyn Write,
    palette: &Palette,
    document: &PlanDocument,
    ops: &[OpRecord],
    root: &str,
) -> anyhow::Result<()> {
    if ops.is_empty() {
        return Ok(());
    }
    let has_source = document.ops.iter().any(|op| op.source.is_some());
    let (batches, images) = (document.batches.len() > 1, document.images.len() > 1);
    let mut header = Vec::new();
    header.extend(batches.then_some("batch"));
    header.extend(images.then_some("image"));
    header.extend(["address", "old", "new", "function"]);
    header.extend(has_source.then_some("source"));
    let mut table = aligned(&header);
    for op in ops {
        let mut row = Vec::new();
        row.extend(batches.then(|| op.batch.to_string()));
        row.extend(images.then(|| file_name(&document.images, op.image)));
        let disassembly =
            |text: &Option<String>, bytes: String| text.as_deref().map_or(bytes, printable);
        row.push(op.address.to_string());
        row.push(disassembly(&op.old_disassembly, op.old.to_string()));
        row.push(disassembly(&op.new_disassembly, op.new.to_string()));
        row.push(function(op));
        row.extend(has_source.then(|| source(op, root)));
        table.add_row(row);
    }
    rows(out, palette, &table)
}

fn file_name(images: &[ImageRecord], image: usize) -> String {
    let path = images.get(image).map_or("", |image| &image.path);
    printable(path.rsplit('/').next().unwrap_or(path))
}

fn function(op: &OpRecord) -> String {
    let Some(name) = &op.function else { return op.section.clone().unwrap_or_default() };
    format!("{}+{:#x}", function_name(name), op.function_offset.unwrap_or(0))
}

fn source(op: &OpRecord, root: &str) -> String {
    let Some(frame) = &op.source else { return String::new() };
    let file = frame.file.as_deref().unwrap_or("?");
    let file = file.strip_prefix(root).unwrap_or(file);
    frame.line.map_or_else(|| printable(file), |line| format!("{}:{line}", printable(file)))
}

fn refusals(out: &mut dyn Write, palette: &Palette, document: &PlanDocument) -> anyhow::Result<()> {
    if document.refusals.is_empty() {
        return Ok(());
    }
    heading(out, palette, &format!("Refused: {}", grouped(document.refusals.len())))?;
    let error = palette.error;
    for refusal in &document.refusals {
        let targets: Vec<&str> = refusal.targets.iter().map(|target| target.0.name()).collect();
        let (targets, about) = (targets.join(", "), about(document, refusal));
        let code = refusal.code.0.code();
        writeln!(
            out,
            "{error}{code}{error:#} ({targets}): {about}: {}",
            printable(&refusal.message)
        )?;
    }
    Ok(())
}

fn about(document: &PlanDocument, refusal: &RefusalRecord) -> String {
    let key = refusal.key.and_then(|key| document.keys.get(key));
    match key {
        Some(key) => printable(&key.name),
        None => file_name(&document.images, refusal.image),
    }
}

fn deferrals(
    out: &mut dyn Write,
    palette: &Palette,
    document: &PlanDocument,
) -> anyhow::Result<()> {
    let mut by_reason: std::collections::BTreeMap<&str, Vec<usize>> = Default::default();
    for deferral in &document.deferrals {
        by_reason.entry(&deferral.message).or_default().push(deferral.op);
    }
    if by_reason.is_empty() {
        return Ok(());
    }
    let deferred = document.deferrals.len();
    heading(
        out,
        palette,
        &format!("Not patched in a running kernel, or patched later: {}", grouped(deferred)),
    )?;
    for (message, ops) in by_reason {
        let ops: Vec<&OpRecord> = ops.iter().filter_map(|op| document.ops.get(*op)).collect();
        writeln!(out, "{}: {message}", count(ops.len(), "site"))?;
        for op in ops.iter().take(8) {
            writeln!(out, "  {}  {}", op.address, function(op))?;
        }
        if ops.len() > 8 {
            writeln!(out, "  and {} more", grouped(ops.len() - 8))?;
        }
    }
    Ok(())
}

/// The cost of a plan under each strategy, as a table.
fn cost(out: &mut dyn Write, palette: &Palette, cost: &CostRecord) -> anyhow::Result<()> {
    heading(out, palette, &format!("Cost on {} CPUs", cost.cpus))?;
    let mut table = aligned(&["strategy", "sync after", "cache ops", "broadcasts", "x CPUs"]);
    for strategy in &cost.strategies {
        table.add_row([
            strategy.sync.0.name().to_owned(),
            when(strategy).to_owned(),
            grouped(strategy.cache_maintenance),
            number(strategy.broadcasts),
            number(strategy.cpu_syncs),
        ]);
    }
    (2..5).for_each(|column| right_align(&mut table, column));
    rows(out, palette, &table)
}

fn when(strategy: &StrategyRecord) -> &'static str {
    match strategy.per.as_deref() {
        None => "never",
        Some("site") => "each site",
        Some("key") => "each key",
        Some(_) => "each batch",
    }
}

fn number(number: u64) -> String {
    grouped(number)
}
