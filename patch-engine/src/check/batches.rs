//! Whether batches cover the ops within bounds.

use super::Place;
use super::finding::{Findings, element};
use crate::plan_file::Document;
use crate::sync::Sync;

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let sync = Sync::of_batch(&document.arch, document.world.0);
    if document.sync.0 != sync {
        findings.add(Place::Plan("sync"), sync.name(), document.sync.0.name());
    }
    let mut next = 0;
    for (at, batch) in document.batches.iter().enumerate() {
        let place = |field| element("batches", at, field);
        findings.same(place("first_op"), &next, &batch.first_op);
        if batch.ops == 0 {
            findings.add(place("ops")(), "at least one op", "0");
        }
        if let Some(queue) = document.queue.filter(|queue| batch.ops > *queue) {
            findings.add(place("ops")(), format!("at most {queue}"), batch.ops.to_string());
        }
        if batch.sync.0 != sync {
            findings.add(place("sync")(), sync.name(), batch.sync.0.name());
        }
        let last = next.saturating_add(batch.ops);
        for op in next..last.min(document.ops.len()) {
            findings.same(element("ops", op, "batch"), &at, &document.ops[op].batch);
        }
        next = last;
    }
    if next != document.ops.len() {
        let expected = format!("batches for {} ops", document.ops.len());
        findings.add(Place::Plan("batches"), expected, format!("for {next}"));
    }
}
