//! Reads a plan file.

use super::document::{PlanDocument, SCHEMA};
use serde::Deserialize;

/// Why a plan file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Not JSON, cut off, or JSON that is no plan.
    #[error("expected a plan (schema {SCHEMA}), found {}: make it again with jlctl plan", broken(.0))]
    Json(serde_json::Error),
    /// JSON of another kind.
    #[error("expected a plan (schema {SCHEMA}), found schema {found:?}: {}", advice(found))]
    Schema {
        /// What it says to be.
        found: String,
    },
    /// JSON without a schema.
    #[error(
        "expected a plan (schema {SCHEMA}), found JSON without a schema: make it with jlctl plan -o FILE"
    )]
    NoSchema,
    /// An index leads out of its list.
    #[error(
        "{place}: expected an index below {limit}, found {found}: the plan was edited; make it again"
    )]
    Index {
        /// Which field, as `ops[3].key`.
        place: String,
        /// The length of the list.
        limit: usize,
        /// The index.
        found: usize,
    },
}

fn broken(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return format!("that it ends in the middle, in line {}", error.line());
    }
    error.to_string()
}

fn advice(found: &str) -> &'static str {
    let is_later = found
        .strip_prefix("jlctl.plan/")
        .is_some_and(|version| version.parse::<u32>().is_ok_and(|version| version > 1));
    if is_later {
        "a later jlctl made it; use that one, or make the plan again"
    } else {
        "make a plan with jlctl plan -o FILE"
    }
}

/// Reads the plan file that `bytes` are.
///
/// # Errors
/// If they are no plan of this version, or one that refers to what it does not
/// have.  Whether what it says is true is for [`crate::check`] to find out.
pub fn read(bytes: &[u8]) -> Result<PlanDocument, PlanFileError> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    // First the version: a plan of another one has other fields.
    match serde_json::from_slice::<Head>(bytes).map(|head| head.schema) {
        Ok(Some(schema)) if schema == SCHEMA => {}
        Ok(Some(found)) => return Err(PlanFileError::Schema { found }),
        Ok(None) => return Err(PlanFileError::NoSchema),
        Err(error) => return Err(PlanFileError::Json(error)),
    }
    let document: PlanDocument = serde_json::from_slice(bytes).map_err(PlanFileError::Json)?;
    indexes(&document)?;
    Ok(document)
}

/// Checks that all indexes lead into their lists.
fn indexes(document: &PlanDocument) -> Result<(), PlanFileError> {
    let check = |place: &dyn Fn() -> String, found: usize, limit: usize| {
        if found < limit {
            return Ok(());
        }
        Err(PlanFileError::Index { place: place(), limit, found })
    };
    let (images, keys) = (document.images.len(), document.keys.len());
    let (ops, batches) = (document.ops.len(), document.batches.len());
    for (at, key) in document.keys.iter().enumerate() {
        if let Some(image) = key.image {
            check(&|| format!("keys[{at}].image"), image, images)?;
        }
    }
    for (at, op) in document.ops.iter().enumerate() {
        check(&|| format!("ops[{at}].key"), op.key, keys)?;
        check(&|| format!("ops[{at}].image"), op.image, images)?;
        check(&|| format!("ops[{at}].batch"), op.batch, batches)?;
    }
    for (at, write) in document.key_writes.iter().enumerate() {
        check(&|| format!("key_writes[{at}].key"), write.key, keys)?;
        check(&|| format!("key_writes[{at}].image"), write.image, images)?;
        if let Some(batch) = write.after_batch {
            check(&|| format!("key_writes[{at}].after_batch"), batch, batches)?;
        }
    }
    for (at, deferral) in document.deferrals.iter().enumerate() {
        check(&|| format!("deferrals[{at}].op"), deferral.op, ops)?;
    }
    for (at, refusal) in document.refusals.iter().enumerate() {
        check(&|| format!("refusals[{at}].image"), refusal.image, images)?;
        if let Some(key) = refusal.key {
            check(&|| format!("refusals[{at}].key"), key, keys)?;
        }
    }
    Ok(())
}
