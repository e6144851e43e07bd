//! Reports of the demo image in every format, compared with testdata/golden/expect.
//! `UPDATE_EXPECT=1 cargo test -p jlctl inspect::formats` rewrites them.

use crate::command::{inspect, report, utf8};
use crate::directory::Directory;
use crate::golden::expect;
use serde_json::Value;

#[test]
fn text_reports() {
    expect("inspect.txt", &report(&[]));
    expect("inspect-keys.txt", &report(&["--keys"]));
    expect("inspect-sites.txt", &report(&["--sites"]));
    expect("inspect-sites-no-source.txt", &report(&["--sites", "--no-source"]));
}

#[test]
fn json_reports() {
    expect("inspect.json", &report(&["--format", "json"]));
    expect("inspect.jsonl", &report(&["--format", "jsonl"]));
}

#[test]
fn csv_reports() {
    expect("inspect-sites.csv", &report(&["--format", "csv"]));
    expect("inspect-keys.csv", &report(&["--format", "csv", "--keys"]));
}

#[test]
fn text_has_one_line_for_each_element() {
    let keys = report(&["--keys"]);
    let sites = report(&["--sites"]);
    let both = report(&["--keys", "--sites"]);
    for key in ["demo_bss_key", "__tracepoint_demo_event+0x8", "cpu_hwcap_keys+0x20"] {
        assert!(keys.lines().any(|line| line.split_whitespace().last() == Some(key)), "{key}");
    }
    for location in ["demo_open+0x8", "demo_net_exit+0x8", "demo_has_feature+0x10"] {
        let holds = |line: &str| line.split_whitespace().any(|word| word == location);
        assert_eq!(sites.lines().filter(|line| holds(line)).count(), 1, "{location}");
        assert!(both.lines().any(holds) && !keys.lines().any(holds));
    }
    // The report shows the frame outside jump_label.h.
    assert!(sites.contains("trace/events/demo.h:33") && !sites.contains("jump_label.h"));
}

#[test]
fn json_lines_are_the_lists_of_json_one_by_one() {
    let json: Value =
        serde_json::from_str(&report(&["--format", "json"])).expect("the report is JSON");
    let lines = report(&["--format", "jsonl"]);
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("the report is JSON")).collect();
    let of = |record: &str| -> Vec<Value> {
        let is = |line: &&Value| line["record"] == record;
        let mut found: Vec<Value> = lines.iter().filter(is).cloned().collect();
        for line in &mut found {
            let object = line.as_object_mut().expect("an object");
            assert_eq!(object.remove("schema"), Some("jlctl.inspect/1".into()));
            object.remove("record");
        }
        found
    };
    assert_eq!(Value::Array(of("key")), json["keys"]);
    assert_eq!(Value::Array(of("site")), json["sites"]);
    let head = of("image");
    assert_eq!((head.len(), lines[0]["record"].as_str()), (1, Some("image")));
    for part in ["image", "table", "summary", "selection"] {
        assert_eq!(head[0].get(part), json.get(part), "{part}");
    }
    assert_eq!(lines.len(), 1 + 8 + 12, "the demo has no diagnostics");
}

#[test]
fn csv_has_a_header_and_a_line_for_each_element() {
    for (args, fields, records, first) in [
        (&["--format", "csv"][..], 18, 12, "index"),
        (&["--format", "csv", "--sites"], 18, 12, "index"),
        (&["--format", "csv", "--keys"], 13, 8, "name"),
        (&["--format", "csv", "--key", "demo_ro_key"], 18, 2, "index"),
    ] {
        let text = report(args);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().expect("a header").clone();
        assert_eq!((headers.len(), &headers[0]), (fields, first));
        let found: Vec<_> = reader.records().map(|record| record.expect("a record")).collect();
        assert_eq!(found.len(), records, "{args:?}");
        assert!(found.iter().all(|record| record.len() == fields));
    }
}

#[test]
fn findings_make_the_exit_status_1() {
    let directory = Directory::new();
    for (name, bytes) in jlctl_synthetic::broken::sites::all() {
        let path = directory.path(name);
        std::fs::write(&path, bytes).expect("the file is written");
        let path = utf8(&path);
        let run = inspect(&[path, "--format", "json"]);
        let json: Value = serde_json::from_str(&run.stdout).expect("the report is JSON");
        let found = json["diagnostics"].as_array().expect("a list");
        let failing = found.iter().any(|found| found["severity"] == "error");
        assert_eq!((run.code, run.stderr.as_str()), (i32::from(failing), ""), "{name}");
        assert!(!found.is_empty(), "{name}");
        let text = inspect(&[path]);
        assert_eq!(text.code, run.code, "{name}");
        for diagnostic in found {
            let code = diagnostic["code"].as_str().expect("a code");
            let message = diagnostic["message"].as_str().expect("a message");
            let severity = diagnostic["severity"].as_str().expect("a severity");
            let line = |line: &str| {
                line.contains(code) && line.contains(severity) && line.contains(message)
            };
            assert!(text.stdout.lines().any(line), "{name}: {diagnostic}\n{}", text.stdout);
        }
    }
}
