//! jlctl-formats(5) describes every field that a document has.

use super::session::Workspace;
use crate::command::root;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Objects whose fields are names out of an image, with a count each.
const MAPS: [&str; 3] = ["sections", "special", "kinds"];

/// The section of the page about `schema`.
fn section(schema: &str) -> String {
    let path = root().join("man/src/jlctl-formats.5.md");
    let page = fs::read_to_string(path).expect("the page");
    let heading = format!("\n# {schema}\n");
    let (_, rest) = page.split_once(&heading).unwrap_or_else(|| panic!("no section {schema}"));
    rest.split("\n# ").next().expect("it has a text").to_owned()
}

fn fields(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, into)),
        Value::Object(object) => {
            for (name, value) in object {
                into.insert(name.clone());
                if !MAPS.contains(&name.as_str()) {
                    fields(value, into);
                }
            }
        }
        _ => {}
    }
}

/// Demands that the page has each field of a document; the schema.
fn check(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| {
        panic!("expected a JSON document: {error}: {text}");
    });
    let schema = document["schema"].as_str().expect("a schema").to_owned();
    let section = section(&schema);
    let mut names = BTreeSet::new();
    fields(&document, &mut names);
    let missing: Vec<&String> =
        names.iter().filter(|name| !section.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "jlctl-formats(5) lacks fields of {schema}: {missing:?}");
    schema
}

#[test]
fn of_expected_reports() {
    let directory = root().join("testdata/golden/expect");
    let mut schemas = BTreeSet::new();
    for entry in fs::read_dir(directory).expect("expected reports") {
        let path = entry.expect("a readable entry").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            schemas.insert(check(&fs::read_to_string(path).expect("a report")));
        }
    }
    let expected = ["diff", "inspect", "lint", "plan", "simulate"];
    assert_eq!(Vec::from_iter(schemas), expected.map(|name| format!("jlctl.{name}/1")));
}

#[test]
fn of_documents_about_programs() {
    let workspace = Workspace::new();
    let outputs = workspace.outputs(&[
        "cc -O2 -DJLSHIM_LATER examples/worker.c -o worker",
        "jlctl plan worker --disable greeting -o plan.json",
        "jlctl plan --check plan.json worker --format json",
        "jlctl apply plan.json worker -o quiet --format json",
        "jlctl apply --recover worker --format json",
        "./worker >/dev/null & until jlctl ctl $! list >/dev/null; do sleep 0.1; done",
        "jlctl ctl $! list --format json",
        "jlctl audit --pid $! --format json",
        "jlctl apply plan.json --pid $! --format json",
        "jlctl lint testdata/golden/images/vmlinux-demo --write-baseline known.json -q >/dev/null; \
         cat known.json",
    ]);
    let documents = outputs.iter().filter(|output| output.starts_with('{'));
    let schemas: Vec<String> = documents.map(|output| check(output)).collect();
    assert_eq!(
        schemas,
        [
            "jlctl.plan-check/1",
            "jlctl.apply/1",
            "jlctl.apply/1",
            "jlctl.ctl/1",
            "jlctl.audit/1",
            "jlctl.apply/1",
            "jlctl.lint-baseline/1",
        ],
        "{outputs:?}"
    );
}

#[cfg(feature = "tools")]
#[test]
fn of_documents_about_the_runtime() {
    let workspace = Workspace::new().with_shim();
    let outputs = workspace.outputs(&[
        "cc -O2 -DJLSHIM_LATER examples/worker.c -o worker",
        "jlctl link worker -o linked --shim \"$(pkg-config --variable=libdir jlshim)\" \
         --format json",
        "JLSHIM_REPORT=report.json JLSHIM_ENABLE=trace ./linked 1 >/dev/null; cat report.json",
        "jlctl link --remove linked -o back --format json",
    ]);
    let documents = outputs.iter().filter(|output| output.starts_with('{'));
    let schemas: Vec<String> = documents.map(|output| check(output)).collect();
    assert_eq!(schemas, ["jlctl.link/1", "jlshim.report/1", "jlctl.link/1"], "{outputs:?}");
}
