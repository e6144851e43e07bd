//! Kernels without a symbol table, as distributions install them.

use crate::command::{inspect, utf8};
use crate::directory::Directory;
use jlctl_synthetic::{demo, flat, split};
use serde_json::{Value, json};
use std::fs;

/// The report on a file with these bytes: exit status, JSON, text.
fn report(bytes: &[u8]) -> (i32, Value, String) {
    let directory = Directory::new();
    let path = directory.path("vmlinuz");
    fs::write(&path, bytes).expect("the file is written");
    let path = utf8(&path);
    let run = inspect(&[path, "--format", "json"]);
    let record = serde_json::from_str(&run.stdout).unwrap_or_else(|error| {
        panic!("{error}: {:?} {}", run.stdout, run.stderr);
    });
    (run.code, record, inspect(&[path]).stdout)
}

#[test]
fn a_raw_image_has_a_format_and_no_type() {
    let (code, record, text) = report(&flat::image(&demo::linked().elf));
    let image = &record["image"];
    assert_eq!((&image["format"], &image["type"]), (&json!("arm64-image"), &Value::Null));
    assert_eq!((&image["arch"], &image["release"]), (&json!("arm64"), &json!("6.12.0-jlctl-demo")));
    let table = &record["table"];
    assert_eq!(table["located_by"], json!("scan"));
    assert_eq!(table["confidence"], json!({"entries": 12, "next_longest": 0}));
    assert_eq!(record["diagnostics"][0]["severity"], json!("warning"));
    assert_eq!(code, 0, "a warning is no finding");
    assert!(text.contains("raw kernel image, kernel 6.12.0-jlctl-demo"), "{text}");
    assert!(text.contains("found by structure\n"), "{text}");
    assert!(text.contains("entries of 16 bytes, a chain of 12; the next longest has 0"), "{text}");
}

#[test]
fn a_stripped_kernel_is_searched() {
    let (code, record, _) = report(&split::strip(&demo::linked().elf).write());
    assert_eq!((code, &record["diagnostics"]), (0, &json!([])));
    assert_eq!(
        (&record["image"]["format"], &record["image"]["type"]),
        (&json!("elf"), &json!("dyn"))
    );
    assert_eq!(record["table"]["located_by"], json!("scan"));
    assert_eq!(record["sites"].as_array().map(Vec::len), Some(12));
}
