//! `jlctl diff` of images that differ in one of everything, compared with
//! testdata/golden/expect (`UPDATE_EXPECT=1 cargo test -p jlctl diff::` rewrites
//! it); its options, exit status and refusals.

use crate::command::Run;
use crate::directory::Directory;
use crate::golden::expect;
use jlctl_synthetic::demo;
use jlctl_synthetic::spec::{
    Branch, DataSection, FunctionSpec, ImageSpec, KeySpec, Machine, SiteSpec, TextSection,
};
use serde_json::Value;

/// A directory with images `a` and `b`.
struct Images(Directory);

impl Images {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let directory = Directory::new();
        directory.write("a", a);
        directory.write("b", b);
        Self(directory)
    }

    fn diff(&self, args: &[&str]) -> Run {
        self.0.jlctl(&[&["diff"], args].concat())
    }

    /// A report of `a` and `b`.
    fn report(&self, args: &[&str]) -> String {
        self.diff(&[&["a", "b"], args].concat()).ok()
    }

    fn json(&self, args: &[&str]) -> Value {
        let text = self.report(&[&["--format", "json"], args].concat());
        serde_json::from_str(&text).expect("the report is JSON")
    }
}

/// The demo kernel after an upgrade: one of every change.
fn upgraded() -> ImageSpec {
    let mut spec = demo::spec();
    spec.release = "6.18.0-jlctl-demo".to_owned();
    spec.build_id = Some((2..=21).collect());
    spec.keys.insert(0, KeySpec::new("demo_new_key"));
    for key in &mut spec.keys {
        match key.name.as_str() {
            "demo_false_key" => (key.initially_true, key.enabled) = (true, 1),
            "demo_true_key" => key.enabled = 0,
            "demo_bss_key" => key.section = DataSection::RoAfterInit,
            "__tracepoint_demo_event" => key.name += "_v2",
            "___once_key.0" => key.name = "___once_key.7".to_owned(),
            _ => {}
        }
    }
    let functions = std::mem::take(&mut spec.functions);
    let poll_more = FunctionSpec::new("demo_poll_more", demo::DEMO_C, 12);
    let late_init = FunctionSpec::new("demo_late_init", demo::DEMO_C, 12);
    spec.functions = vec![poll_more, late_init.in_section(TextSection::Init)];
    spec.functions.extend(functions);
    let moved = |site: SiteSpec, from: &str, to: &str, key: &str| {
        if site.code == from.into() {
            SiteSpec { code: to.into(), key: key.into(), ..site }
        } else {
            site
        }
    };
    let sites = std::mem::take(&mut spec.sites).into_iter();
    spec.sites = sites
        .map(|site| {
            let key = match &site.key {
                key if *key == "__tracepoint_demo_event+8".into() => {
                    "__tracepoint_demo_event_v2+8".into()
                }
                key if *key == "cpu_hwcap_keys+0x20".into() => "cpu_hwcap_keys+0x30".into(),
                key if *key == "kernel/demo.c:___once_key.0".into() => {
                    "kernel/demo.c:___once_key.7".into()
                }
                key if *key == "demo_net.c:___once_key.0".into() => {
                    "demo_net.c:___once_key.7".into()
                }
                key => key.clone(),
            };
            SiteSpec { key, ..site }
        })
        .map(|site| moved(site, "demo_read+0x14", "demo_poll_more+0x8", "demo_false_key"))
        .filter(|site| site.code != "demo_net_exit+0x8".into())
        .collect();
    for site in &mut spec.sites {
        if site.code == "demo_init+0xc".into() {
            site.branch = Branch::Likely;
        }
    }
    spec.site(SiteSpec::new("demo_late_init+0x4", "demo_late_init+0x20", "demo_new_key"))
        .site(SiteSpec::new("demo_poll_more+0x10", "demo_poll_more+0x20", "demo_new_key"))
}

fn upgrade() -> Images {
    Images::new(&demo::vmlinux(), &upgraded().build())
}

#[test]
fn reports() {
    let images = upgrade();
    expect("diff.txt", &images.report(&[]));
    expect("diff-all.txt", &images.report(&["--all"]));
    expect("diff.json", &images.report(&["--format", "json"]));
}

#[test]
fn every_change_is_in_the_json() {
    let json = upgrade().json(&[]);
    assert_eq!(json["schema"], "jlctl.diff/1");
    assert_eq!(
        (&json["a"]["release"], &json["b"]["keys"]),
        (&"6.12.0-jlctl-demo".into(), &9.into())
    );
    let of = |name: &str| {
        let keys = json["keys"].as_array().expect("a list");
        let found = keys.iter().find(|key| key["a"]["name"] == name);
        found.unwrap_or_else(|| panic!("{name} differs"))
    };
    for (name, identity, changes) in [
        ("demo_false_key", "name", &["initial", "enabled", "sites"][..]),
        ("demo_true_key", "name", &["enabled"]),
        ("demo_bss_key", "name", &["storage", "sites"]),
        ("demo_ro_key", "name", &["sites"]),
        ("__tracepoint_demo_event+0x8", "renamed-by-sites", &["name"]),
    ] {
        let key = of(name);
        assert_eq!(key["identity"], identity, "{name}");
        let found = key["changes"].as_array().expect("a list");
        assert!(changes.iter().all(|change| found.contains(&(*change).into())), "{name}: {key}");
    }
    let moved = &of("demo_false_key")["sites"]["moved"][0];
    assert_eq!((&moved["from"], &moved["to"]), (&"demo_read".into(), &"demo_poll_more".into()));
    let turned = &of("demo_ro_key")["sites"]["turned"][0];
    assert_eq!((&turned["function"], &turned["branch"]), (&"demo_init".into(), &"likely".into()));
    assert_eq!(of("demo_bss_key")["sites"]["removed"][0]["function"], "demo_net_exit");
    assert_eq!(json["added"][0]["name"], "demo_new_key");
    assert!(!json["keys"].to_string().contains("once"), "a renumbered static is no difference");
}

#[test]
fn an_image_is_the_same_as_itself_and_as_its_rebuild() {
    let mut moved = demo::spec();
    moved.base += 0x10_0000;
    for b in [demo::vmlinux(), moved.build()] {
        let images = Images::new(&demo::vmlinux(), &b);
        assert!(images.report(&[]).ends_with("\nNo differences\n"));
        let run = images.diff(&["a", "b", "--exit-code"]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        let json = images.json(&[]);
        assert_eq!(json["summary"]["different"], false);
        for list in ["keys", "removed", "added"] {
            assert_eq!(json[list], Value::Array(vec![]));
        }
    }
}

#[test]
fn exit_code_makes_the_exit_status_report_differences() {
    let images = upgrade();
    assert_eq!(images.diff(&["a", "b"]).code, 0);
    for args in
        [&["--exit-code"][..], &["--exit-code", "--summary"], &["--exit-code", "--format", "json"]]
    {
        assert_eq!(images.diff(&[&["a", "b"], args].concat()).code, 1);
    }
    let same = ["a", "b", "--exit-code", "--key", "___once_key*"];
    assert_eq!(images.diff(&same).code, 0, "the selected keys are the same");
}

#[test]
fn keys_are_selected_by_their_names_in_either_image() {
    let images = upgrade();
    for pattern in ["__tracepoint_demo_event+0x8", "*_v2+0x8", "/event_v2/"] {
        let json = images.json(&["--key", pattern]);
        assert_eq!(json["selection"]["key"], pattern);
        assert_eq!(json["keys"].as_array().map(Vec::len), Some(1), "{pattern}");
        assert_eq!(json["summary"]["keys"]["added"], 0);
    }
    let run = images.diff(&["a", "b", "--key", "nothing*"]);
    assert_eq!((run.code, run.stdout.as_str()), (4, ""));
    assert!(run.stderr.contains("--key nothing*"), "{}", run.stderr);
    assert_eq!(images.diff(&["a", "b", "--key", "/(/"]).code, 2);
}

#[test]
fn a_summary_has_no_lists() {
    let images = upgrade();
    let (summary, whole) = (images.report(&["--summary"]), images.report(&[]));
    assert!(whole.starts_with(&summary) && !summary.contains("demo_new_key"));
    assert_eq!(images.json(&["--summary"])["added"], Value::Null);
    assert_eq!(images.diff(&["a", "b", "--summary", "--all"]).code, 2);
}

#[test]
fn lines_fit_80_columns() {
    for args in [&[][..], &["--all"]] {
        let report = upgrade().report(args);
        for line in report.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn other_architectures_and_modules() {
    let module = |machine| {
        ImageSpec::module("demo")
            .on(machine)
            .key(KeySpec::new("key"))
            .function(FunctionSpec::new("f", demo::DEMO_C, 16))
            .site(SiteSpec::new("f+8", "f+0x20", "key"))
            .build()
    };
    let images = Images::new(&module(Machine::Aarch64), &module(Machine::X86_64));
    let report = images.report(&[]);
    assert!(report.contains("The architectures differ: arm64 and x86_64."), "{report}");
    assert!(report.ends_with("\nNo differences\n"), "{report}");
}

#[test]
fn an_error_names_the_image() {
    let images = upgrade();
    images.0.write("text", b"no image\n");
    images.0.write("cut", &demo::vmlinux()[..100]);
    for (a, b, code, words) in [
        ("text", "b", 3, &["jlctl: A: text: expected an ELF file"][..]),
        ("a", "text", 3, &["jlctl: B: text: expected an ELF file"]),
        ("a", "missing", 3, &["jlctl: B: missing: ", "No such file"]),
        ("cut", "text", 3, &["jlctl: A: cut: ", "; B: text: "]),
    ] {
        let run = images.diff(&[a, b]);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{}", run.stderr);
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{}", run.stderr);
    }
    assert_eq!(images.diff(&["a"]).code, 2);
}
