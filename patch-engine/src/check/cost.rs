//! Checks that batches cover the ops within bounds, and counts the figures of the cost anew.

use super::PlanField;
use super::finding::{Findings, element};
use crate::images::ReadImage;
use crate::plan_file::{BatchRecord, PlanDocument};
use crate::sync::SyncMethod;
use std::collections::BTreeSet;

pub(super) fn check_batches(document: &PlanDocument, findings: &mut Findings) {
    let sync = SyncMethod::of_batch(&document.arch, document.world.0);
    if document.sync.0 != sync {
        findings.add(PlanField::Plan("sync"), sync.name(), document.sync.0.name());
    }
    let mut next = 0;
    for (at, batch) in document.batches.iter().enumerate() {
        let path = |field| element("batches", at, field);
        findings.same(path("first_op"), &next, &batch.first_op);
        if batch.ops == 0 {
            findings.add(path("ops")(), "at least one op", "0");
        }
        if let Some(queue) = document.queue.filter(|queue| batch.ops > *queue) {
            findings.add(path("ops")(), format!("at most {queue}"), batch.ops.to_string());
        }
        if batch.sync.0 != sync {
            findings.add(path("sync")(), sync.name(), batch.sync.0.name());
        }
        let last = next.saturating_add(batch.ops);
        for op in next..last.min(document.ops.len()) {
            findings.same(element("ops", op, "batch"), &at, &document.ops[op].batch);
        }
        next = last;
    }
    let ops = document.batches.iter().map(|batch| batch.ops);
    let total = ops.into_iter().try_fold(0usize, usize::checked_add);
    if total != Some(document.ops.len()) {
        let expected = format!("{} ops in all batches", document.ops.len());
        let found = total.map_or_else(|| "a sum that overflows".to_owned(), |ops| ops.to_string());
        findings.add(PlanField::Plan("batches"), expected, found);
    }
}

pub(super) fn check_cost(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    findings: &mut Findings,
) {
    let cost = &document.cost;
    let (all_pages, all_lines) = touched(document, images, 0, document.ops.len());
    findings.same(|| PlanField::Plan("cost.ops"), &document.ops.len(), &cost.ops);
    findings.same(|| PlanField::Plan("cost.pages"), &all_pages, &cost.pages);
    findings.same(|| PlanField::Plan("cost.cache_lines"), &all_lines, &cost.cache_lines);
    let mut batch_lines = 0;
    for (at, batch) in document.batches.iter().enumerate() {
        let BatchRecord { first_op, ops, .. } = *batch;
        let (pages, lines) = touched(document, images, first_op, ops);
        findings.same(element("batches", at, "pages"), &pages, &batch.pages);
        findings.same(element("batches", at, "cache_lines"), &lines, &batch.cache_lines);
        batch_lines += lines;
    }
    let uses = |per: &str| match per {
        "site" => Some(document.ops.len()),
        "key" => Some(per_key(document)),
        "batch" => Some(document.batches.len()),
        _ => None,
    };
    for (at, strategy) in cost.strategies.iter().enumerate() {
        let path = |field| element("cost.strategies", at, field);
        let uses = match strategy.per.as_deref() {
            None => Some(0),
            Some(per) => uses(per),
        };
        let Some(uses) = uses else {
            let found = strategy.per.clone().unwrap_or_default();
            findings.add(path("per")(), "site, key, batch or null", found);
            continue;
        };
        let each = match strategy.sync.0 {
            SyncMethod::Nosync => 0,
            SyncMethod::TextPoke => 3,
            _ => 1,
        };
        let broadcasts = uses as u64 * each;
        findings.same(path("broadcasts"), &broadcasts, &strategy.broadcasts);
        let cpu_syncs = broadcasts.saturating_mul(cost.cpus.into());
        findings.same(path("cpu_syncs"), &cpu_syncs, &strategy.cpu_syncs);
        // DC CVAU and IC IVAU, for each site; for the shim's synchronisation for each line of a
        // batch.
        let maintained = match (document.arch.as_str(), strategy.sync.0) {
            ("arm64", SyncMethod::MembarrierSyncCore) => 2 * batch_lines,
            ("arm64", _) => 2 * document.ops.len(),
            _ => 0,
        };
        findings.same(path("cache_maintenance"), &maintained, &strategy.cache_maintenance);
    }
}

/// The number of synchronisations of a kernel, which synchronises after each key and whenever its
/// queue is full.
fn per_key(document: &PlanDocument) -> usize {
    let bound = if document.arch == "x86_64" { 256 } else { usize::MAX };
    let mut ops = vec![0usize; document.keys.len()];
    for op in &document.ops {
        if let Some(ops) = ops.get_mut(op.key) {
            *ops += 1;
        }
    }
    ops.into_iter().map(|ops| ops.div_ceil(bound)).sum()
}

/// Distinct pages and cache lines of some ops, by the addresses in the images' tables.
fn touched(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    first: usize,
    ops: usize,
) -> (usize, usize) {
    let (mut pages, mut lines) = (BTreeSet::new(), BTreeSet::new());
    for op in document.ops.iter().skip(first).take(ops) {
        let table = images.get(op.image).and_then(|read| read.table);
        let code = table.and_then(|table| Some(table.entry(table.site_id(op.site)?).code.0));
        let Some(code) = code else { continue };
        for byte in code..code.saturating_add(op.old.0.len().max(1) as u64) {
            pages.insert((op.image, byte / document.cost.page_bytes.max(1)));
            lines.insert((op.image, byte / document.cost.cache_line_bytes.max(1)));
        }
    }
    (pages.len(), lines.len())
}
