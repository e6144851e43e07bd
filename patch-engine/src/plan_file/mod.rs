//! Plan files: the only place where plans are JSON (schema `jlctl.plan/1`).

mod address;
mod compose;
mod document;
mod read;
mod values;
mod write;

pub use address::PlanAddress;
pub use compose::compose;
pub use document::{
    BatchRecord, CostRecord, DeferralRecord, ImageRecord, KeyRecord, KeyWriteRecord, OpRecord,
    PlanDocument, RefusalRecord, SCHEMA, SourceRecord, StrategyRecord,
};
pub use read::{PlanFileError, read};
pub use values::{
    Branch, Checksum, Hex, InsnName, ReasonCode, SpecialName, SyncName, TargetName, WishName,
    WorldName,
};
pub use write::write;

/// The JSON Schema of plan files.
pub const JSON_SCHEMA: &str = include_str!("../../schema/jlctl.plan-1.json");

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed schema is that of the types; `UPDATE_EXPECT=1` rewrites it.
    #[test]
    fn the_committed_schema_is_that_of_the_document() {
        let mut schema = schemars::schema_for!(PlanDocument);
        schema.insert("$id".to_owned(), "urn:jlctl:plan:1".into());
        schema.insert("title".to_owned(), "Patch plan of jlctl".into());
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/jlctl.plan-1.json");
            std::fs::write(path, &text).unwrap();
        } else {
            assert_eq!(JSON_SCHEMA, text, "run the test with UPDATE_EXPECT=1");
        }
    }
}
