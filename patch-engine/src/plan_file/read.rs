//! Reads a plan file.

use super::address::PlanAddress;
use super::document::{PlanDocument, SCHEMA};
use serde::Deserialize;

/// Why a plan file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The file is no JSON, is cut off, or is JSON that is no plan.
    #[error("not a plan file ({}); make one with jlctl plan -o FILE", broken(.0.as_deref(), .1))]
    Json(Option<String>, serde_json::Error),
    /// The document has another schema.
    #[error("expected a plan (schema {SCHEMA}), found schema {found:?}: {}", advice(found))]
    Schema {
        /// The schema that the document names.
        found: String,
    },
    /// The document names no schema.
    #[error(
        "expected a plan (schema {SCHEMA}), found JSON without a schema: make it with jlctl plan -o FILE"
    )]
    NoSchema,
    /// An index is beyond the end of its list.
    #[error(
        "{field}: expected an index below {limit}, found {found}: the plan was edited; make it again"
    )]
    Index {
        /// The field, as `ops[3].key`.
        field: String,
        /// The length of the list.
        limit: usize,
        /// The index.
        found: usize,
    },
    /// An address in section and offset, or by symbol, in an image whose addresses are stated.
    #[error(
        "{field}: expected an address 0x…, found {found:?}: only sections of relocatable files have \
         no addresses; the plan was edited; make it again"
    )]
    Address {
        /// The field, as `ops[3].address`.
        field: String,
        /// The address.
        found: String,
    },
}

/// The defect of a document that is no plan; `path` is the field.
fn broken(path: Option<&str>, error: &serde_json::Error) -> String {
    match path {
        _ if error.is_eof() && error.column() == 0 && error.line() <= 1 => "it is empty".to_owned(),
        _ if error.is_eof() => format!("it ends in the middle, in line {}", error.line()),
        _ if error.is_syntax() => {
            format!("line {}, column {}: not JSON", error.line(), error.column())
        }
        Some(path) => format!("in {path} {error}"),
        None => error.to_string(),
    }
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
/// If `bytes` are no plan of this version, an address or another value is malformed, or an
/// index is out of range.  Whether the claims of the plan are true is for [`crate::check`] to
/// find out.
pub fn read(bytes: &[u8]) -> Result<PlanDocument, PlanFileError> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    // The version comes first: another version has other fields.
    match serde_json::from_slice::<Head>(bytes).map(|head| head.schema) {
        Ok(Some(schema)) if schema == SCHEMA => {}
        Ok(Some(found)) => return Err(PlanFileError::Schema { found }),
        Ok(None) => return Err(PlanFileError::NoSchema),
        Err(error) => return Err(PlanFileError::Json(None, error)),
    }
    let document: PlanDocument =
        serde_json::from_slice(bytes).map_err(|error| malformed(bytes, error))?;
    indexes(&document)?;
    addresses(&document)?;
    Ok(document)
}

/// Adds the field to `error`. Paths of fields are tracked in a second pass, over malformed
/// documents only, since tracking takes time.
fn malformed(bytes: &[u8], error: serde_json::Error) -> PlanFileError {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, PlanDocument>(&mut json) {
        // The error is after the document.
        Ok(_) => PlanFileError::Json(None, error),
        Err(error) => {
            let path = error.path().to_string();
            PlanFileError::Json((path != ".").then_some(path), error.into_inner())
        }
    }
}

/// Checks that all indexes are within their lists.
fn indexes(document: &PlanDocument) -> Result<(), PlanFileError> {
    let check = |field: &dyn Fn() -> String, found: usize, limit: usize| {
        if found < limit {
            return Ok(());
        }
        Err(PlanFileError::Index { field: field(), limit, found })
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

/// Checks that the addresses in an image that is no relocatable file are stated.
fn addresses(document: &PlanDocument) -> Result<(), PlanFileError> {
    let is_relocatable: Vec<bool> =
        document.images.iter().map(|image| image.r#type.as_deref() == Some("rel")).collect();
    let check = |image: usize, address: &PlanAddress, field: &dyn Fn() -> String| {
        if address.stated().is_some() || is_relocatable.get(image) == Some(&true) {
            return Ok(());
        }
        Err(PlanFileError::Address { field: field(), found: address.to_string() })
    };
    for (at, key) in document.keys.iter().enumerate() {
        // A key that no image defines has the address of its symbol.
        if let Some(image) = key.image {
            check(image, &key.address, &|| format!("keys[{at}].address"))?;
        }
    }
    for (at, op) in document.ops.iter().enumerate() {
        check(op.image, &op.address, &|| format!("ops[{at}].address"))?;
        check(op.image, &op.target, &|| format!("ops[{at}].target"))?;
    }
    for (at, write) in document.key_writes.iter().enumerate() {
        check(write.image, &write.address, &|| format!("key_writes[{at}].address"))?;
    }
    Ok(())
}
