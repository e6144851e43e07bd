//! `jlctl apply` to a copy and in place, its reversal, refusals, and full disks.

use crate::directory::Directory;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use jlctl_synthetic::{demo, wrap};
use std::fs;
use std::process::Command;

/// A directory with the demo kernel.
fn bench() -> Directory {
    let directory = Directory::new();
    directory.write("vmlinux", demo::vmlinux());
    directory
}

/// Asserts that jlctl fails with `code` and `words`, and changes nothing.
fn refused(bench: &Directory, args: &[&str], code: i32, words: &[&str]) {
    let before = files(bench);
    bench.jlctl(args).fails(code, words);
    assert_eq!(files(bench), before, "{args:?} changed something");
}

fn files(bench: &Directory) -> Vec<(String, Vec<u8>)> {
    let file = |entry: Result<fs::DirEntry, std::io::Error>| {
        let entry = entry.expect("the entry is readable");
        let name = entry.file_name().into_string().expect("the name is UTF-8");
        (name, fs::read(entry.path()).unwrap_or_default())
    };
    let entries = fs::read_dir(bench.root()).expect("the directory is readable");
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

fn plan(bench: &Directory, args: &[&str]) {
    bench.ok(&[&["plan"], args, &["-o", "plan"]].concat());
}

#[test]
fn plans_are_applied_and_reversed_in_a_copy_and_in_place() {
    let bench = bench();
    plan(
        &bench,
        &["vmlinux", "--flip", "demo_false_key", "--flip", "*once*", "--flip", "demo_true_key"],
    );
    let original = bench.read("vmlinux");
    let report = bench.ok(&["apply", "plan", "-o", "out"]);
    assert!(report.contains("6 sites and 4 key words"), "{report}");
    assert_eq!(bench.read("vmlinux"), original);
    // The report counts the bytes that differ.
    let json = bench.ok(&["apply", "plan", "vmlinux", "--dry-run", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("the report is JSON");
    let differ = original.iter().zip(bench.read("out")).filter(|(old, new)| **old != *new).count();
    assert_eq!(json["images"][0]["bytes_changed"], differ);
    assert_eq!(json["images"][0]["target"], serde_json::Value::Null);
    let inspect = bench.ok(&["inspect", "out", "--format", "json"]);
    let inspect: serde_json::Value = serde_json::from_str(&inspect).expect("the report is JSON");
    assert_eq!(inspect["diagnostics"], serde_json::json!([]));
    assert_eq!(inspect["summary"]["flipped"], 4);
    assert!(bench.ok(&["inspect", "out"]).contains("; 4 flipped in this file"));
    bench.ok(&["apply", "plan", "out", "--reverse", "-o", "back"]);
    assert_eq!(bench.read("back"), original);
    bench.ok(&["apply", "plan", "vmlinux", "--in-place"]);
    assert_eq!(bench.read("vmlinux"), bench.read("out"));
    // Planned again, the keys have the other state.
    let again = bench.ok(&["plan", "vmlinux", "--enable", "demo_false_key", "--format", "json"]);
    assert!(again.contains("\"ops\":[]"), "{again}");
    bench.ok(&["apply", "plan", "--reverse", "--in-place"]);
    assert_eq!(bench.read("vmlinux"), original);
    let names: Vec<String> = files(&bench).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["back", "out", "plan", "vmlinux"], "no other file is left");
}

#[test]
fn keys_without_bytes_in_the_file_need_sites_only() {
    let bench = bench();
    plan(&bench, &["vmlinux", "--enable", "demo_bss_key"]);
    refused(
        &bench,
        &["apply", "plan", "-o", "out"],
        4,
        &["demo_bss_key", "--sites-only", "(zero-filled)", "nothing was written"],
    );
    let report = bench.ok(&["apply", "plan", "-o", "out", "--sites-only"]);
    let says = "demo_bss_key: the sites are on, the count is off when the image starts";
    assert!(report.contains(says), "{report}");
    bench.ok(&["apply", "plan", "out", "--reverse", "--sites-only", "-o", "back"]);
    assert_eq!(bench.read("back"), bench.read("vmlinux"));
}

#[test]
fn a_signed_module_needs_a_decision_on_its_signature() {
    let bench = bench();
    let module = ImageSpec::module("some")
        .key(KeySpec::new("key"))
        .function(FunctionSpec::new("function", "some.c", 16))
        .site(SiteSpec::new("function+8", "function+32", "key"))
        .build();
    let message = wrap::pkcs7(&[wrap::issuer_and_serial("Somebody", &[1])]);
    bench.write("some.ko", wrap::sign(&module, &message));
    plan(&bench, &["some.ko", "--flip", "key"]);
    refused(&bench, &["apply", "plan", "-o", "out.ko"], 4, &["signed", "--drop-signature"]);
    let report = bench.ok(&["apply", "plan", "-o", "out.ko", "--keep-broken-signature"]);
    assert!(report.contains("kept, no longer valid"), "{report}");
    assert_eq!(bench.read("out.ko").len(), bench.read("some.ko").len());
    let report = bench.ok(&["apply", "plan", "-o", "bare.ko", "--drop-signature"]);
    assert!(report.contains("removed ("), "{report}");
    assert_eq!(bench.read("bare.ko").len(), module.len());
    bench.ok(&["inspect", "bare.ko"]);
    let back = ["apply", "plan", "out.ko", "--reverse", "--keep-broken-signature", "-o", "back.ko"];
    bench.ok(&back);
    assert_eq!(bench.read("back.ko"), bench.read("some.ko"));
}

#[test]
fn another_image_is_refused_with_the_difference() {
    let bench = bench();
    plan(&bench, &["vmlinux", "--flip", "demo_false_key"]);
    let mut spec = demo::spec();
    spec.build_id = Some(vec![7; 20]);
    bench.write("other", spec.build());
    let words = ["build id: expected 01020304", "found 0707", "not the image"];
    refused(&bench, &["apply", "plan", "other", "-o", "out"], 4, &words);
    refused(&bench, &["apply", "plan", "other", "--in-place"], 4, &words);
    refused(&bench, &["apply", "plan", "other", "--dry-run"], 4, &words);
    let mut changed = bench.read("vmlinux");
    let last = changed.len() - 1;
    changed[last] ^= 1;
    bench.write("other", changed);
    refused(&bench, &["apply", "plan", "other", "-o", "out"], 4, &["XXH3", "was changed"]);
    let by_sha256 = ["apply", "plan", "other", "--sha256", "-o", "out"];
    refused(&bench, &by_sha256, 4, &["SHA-256", "was changed"]);
    // The plan is applied already.
    bench.ok(&["apply", "plan", "--in-place"]);
    refused(&bench, &["apply", "plan", "--in-place"], 4, &["not as expected"]);
}

#[test]
fn an_edited_plan_is_refused_with_the_field() {
    let bench = bench();
    plan(&bench, &["vmlinux", "--flip", "demo_false_key"]);
    let text = String::from_utf8(bench.read("plan")).expect("the text is UTF-8");
    let at = text.find("\"new\":\"").expect("an op") + "\"new\":\"".len();
    let mut edited = text.clone();
    edited.replace_range(at..at + 2, "07");
    bench.write("plan", edited);
    refused(
        &bench,
        &["apply", "plan", "-o", "out"],
        4,
        &["ops[0].new: expected bytes of a branch"],
    );
    refused(&bench, &["apply", "plan", "--in-place"], 4, &["ops[0].new"]);
    bench.write("plan", &text[..text.len() / 2]);
    refused(&bench, &["apply", "plan", "-o", "out"], 3, &["it ends in the middle"]);
}

#[test]
fn impossible_outputs_are_refused() {
    let bench = bench();
    plan(&bench, &["vmlinux", "--flip", "demo_false_key"]);
    std::os::unix::fs::symlink(bench.path("vmlinux"), bench.path("link")).expect("a link");
    refused(&bench, &["apply", "plan", "-o", "vmlinux"], 4, &["apply in place"]);
    refused(&bench, &["apply", "plan", "-o", "link"], 4, &["apply in place"]);
    refused(&bench, &["apply", "plan", "-o", "missing/out"], 5, &["missing"]);
    refused(&bench, &["apply", "plan", "-o", "/dev/null"], 4, &["a regular file"]);
    refused(&bench, &["apply", "plan"], 2, &["--in-place"]);
    refused(&bench, &["apply", "plan", "-o", "out", "--in-place"], 2, &["cannot be used with"]);
    refused(&bench, &["apply", "plan", "missing", "-o", "out"], 3, &["missing"]);
    refused(&bench, &["apply", "missing", "-o", "out"], 3, &["missing"]);
    fs::hard_link(bench.path("vmlinux"), bench.path("hard")).expect("a link");
    refused(&bench, &["apply", "plan", "--in-place"], 4, &["hard links"]);
}

/// Runs `script` on a file system of 24 KiB, with a plan in the working directory, jlctl as `$1` and
/// the file system's directory as `$2`, in a mount namespace of its own.  Asserts that the script
/// exits with 5, and that it prints `words`.
fn fails_on_a_small_disk(script: &str, words: &str) {
    let bench = bench();
    plan(&bench, &["vmlinux", "--flip", "demo_false_key"]);
    let small = bench.path("small");
    fs::create_dir(&small).expect("the directory is made");
    let script = format!("set -e; mount -t tmpfs -o size=24k none \"$2\"\n{script}");
    let user: &[&str] = if is_root() { &["-m"] } else { &["-Urm"] };
    let output = Command::new("unshare")
        .args(user)
        .args(["sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_jlctl")])
        .arg(&small)
        .current_dir(bench.root())
        .output()
        .expect("unshare (package util-linux) starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("unshare failed"), "no mount namespace here: {text}");
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains(words), "{text}");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs unshare and mount: testdata/check runs it")]
fn a_full_disk_keeps_the_old_output() {
    let script = r#"
        echo precious >"$2/out"; head -c 12000 /dev/zero >"$2/fill"
        code=0; "$1" apply plan vmlinux -o "$2/out" || code=$?
        [ "$(cat "$2/out")" = precious ] || { echo "OUT is gone"; exit 9; }
        [ "$(ls -A "$2" | wc -l)" = 2 ] || { ls -A "$2"; exit 9; }
        exit $code"#;
    fails_on_a_small_disk(script, "No space left on device");
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs unshare and mount: testdata/check runs it")]
fn an_image_is_unchanged_if_there_is_no_room_for_the_journal() {
    let script = r#"
        cp vmlinux "$2/vmlinux"; cat /dev/zero >"$2/fill" 2>/dev/null || true
        code=0; "$1" apply plan "$2/vmlinux" --in-place || code=$?
        cmp vmlinux "$2/vmlinux" || exit 9
        [ "$(ls -A "$2" | wc -l)" = 2 ] || { ls -A "$2"; exit 9; }
        exit $code"#;
    fails_on_a_small_disk(script, "No space left on device");
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs unshare and mount: testdata/check runs it")]
fn a_read_only_disk_is_reported() {
    let script = r#"
        cp vmlinux "$2/vmlinux"; mount -o remount,ro "$2"
        code=0; "$1" apply plan "$2/vmlinux" --in-place || code=$?
        exit $code"#;
    fails_on_a_small_disk(script, "read-only");
}

#[test]
fn recovery_without_a_journal_does_nothing() {
    let bench = bench();
    let text = bench.ok(&["apply", "--recover", "vmlinux"]);
    assert!(text.contains("nothing to do"), "{text}");
    refused(&bench, &["apply", "--recover", "missing"], 3, &["missing"]);
    bench.write("vmlinux.jlctl-journal", b"JLCTLJNL");
    refused(&bench, &["apply", "--recover", "vmlinux"], 4, &["journal is damaged"]);
}

#[test]
fn a_kernel_and_a_module_are_written_into_a_directory() {
    let bench = bench();
    let module = ImageSpec::module("user")
        .undefined("demo_false_key")
        .function(FunctionSpec::new("function", "user.c", 16))
        .site(SiteSpec::new("function+8", "function+32", "demo_false_key"));
    bench.write("user.ko", module.build());
    plan(&bench, &["vmlinux", "user.ko", "--enable", "demo_false_key"]);
    refused(&bench, &["apply", "plan", "-o", "out"], 2, &["expected a directory"]);
    refused(&bench, &["apply", "plan", "vmlinux", "-o", "out"], 2, &["expected 2 images"]);
    fs::create_dir(bench.path("new")).expect("the directory is made");
    bench.ok(&["apply", "plan", "-o", "new"]);
    bench.ok(&["apply", "plan", "new/vmlinux", "new/user.ko", "--reverse", "--in-place"]);
    for name in ["vmlinux", "user.ko"] {
        let path = bench.path("new").join(name);
        assert_eq!(fs::read(path).expect("the file is readable"), bench.read(name));
    }
}
