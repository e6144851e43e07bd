//! `jlctl apply`: to a copy, in place, and back; what is refused; disks that are full.

use crate::command::{Run, jlctl, run};
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use jlctl_synthetic::{demo, wrap};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { directory: tempfile::tempdir().expect("a directory") };
        fs::write(bench.path("vmlinux"), demo::vmlinux()).expect("it can be written");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs jlctl in the directory.
    fn run(&self, args: &[&str]) -> Run {
        run(jlctl(args).current_dir(self.directory.path()))
    }

    fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
        run.stdout
    }

    /// Fails with `code` and `words`, and changes nothing.
    fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let before = self.files();
        let run = self.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{args:?}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{word:?} in {}", run.stderr);
        }
        assert_eq!(self.files(), before, "{args:?} changed something");
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let file = |entry: Result<fs::DirEntry, std::io::Error>| {
            let entry = entry.expect("it is readable");
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, fs::read(entry.path()).unwrap_or_default())
        };
        let mut files: Vec<_> =
            fs::read_dir(self.directory.path()).expect("it is readable").map(file).collect();
        files.sort();
        files
    }

    fn plan(&self, args: &[&str]) {
        self.ok(&[&["plan"], args, &["-o", "plan"]].concat());
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("it is readable")
    }
}

#[test]
fn there_and_back_in_a_copy_and_in_place() {
    let bench = Bench::new();
    bench.plan(&[
        "vmlinux",
        "--flip",
        "demo_false_key",
        "--flip",
        "*once*",
        "--flip",
        "demo_true_key",
    ]);
    let original = bench.read("vmlinux");
    let report = bench.ok(&["apply", "plan", "-o", "out"]);
    assert!(report.contains("6 sites and 4 key words"), "{report}");
    assert_eq!(bench.read("vmlinux"), original);
    // The report counts what differs.
    let json = bench.ok(&["apply", "plan", "vmlinux", "--dry-run", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let differ = original.iter().zip(bench.read("out")).filter(|(old, new)| **old != *new).count();
    assert_eq!(json["images"][0]["bytes_changed"], differ);
    assert_eq!(json["images"][0]["target"], serde_json::Value::Null);
    let inspect = bench.ok(&["inspect", "out", "--format", "json"]);
    let inspect: serde_json::Value = serde_json::from_str(&inspect).expect("it is JSON");
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
    let names: Vec<String> = bench.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["back", "out", "plan", "vmlinux"], "nothing is left over");
}

#[test]
fn keys_without_bytes_are_refused_unless_their_sites_alone_are_asked_for() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--enable", "demo_bss_key"]);
    bench.refused(
        &["apply", "plan", "-o", "out"],
        4,
        &["demo_bss_key", "--sites-only", "(zero-filled)", "nothing was written"],
    );
    let report = bench.ok(&["apply", "plan", "-o", "out", "--sites-only"]);
    let says = "demo_bss_key: the code says on, the counter says off when the image starts";
    assert!(report.contains(says), "{report}");
    bench.ok(&["apply", "plan", "out", "--reverse", "--sites-only", "-o", "back"]);
    assert_eq!(bench.read("back"), bench.read("vmlinux"));
}

#[test]
fn a_signed_module_takes_a_decision() {
    let bench = Bench::new();
    let module = ImageSpec::module("some")
        .key(KeySpec::new("key"))
        .function(FunctionSpec::new("function", "some.c", 16))
        .site(SiteSpec::new("function+8", "function+32", "key"))
        .build();
    let message = wrap::pkcs7(&[wrap::issuer_and_serial("Somebody", &[1])]);
    fs::write(bench.path("some.ko"), wrap::sign(&module, &message)).expect("it can be written");
    bench.plan(&["some.ko", "--flip", "key"]);
    bench.refused(&["apply", "plan", "-o", "out.ko"], 4, &["signed", "--drop-signature"]);
    let report = bench.ok(&["apply", "plan", "-o", "out.ko", "--keep-broken-signature"]);
    assert!(report.contains("no longer good"), "{report}");
    assert_eq!(bench.read("out.ko").len(), bench.read("some.ko").len());
    let report = bench.ok(&["apply", "plan", "-o", "bare.ko", "--drop-signature"]);
    assert!(report.contains("cut off"), "{report}");
    assert_eq!(bench.read("bare.ko").len(), module.len());
    bench.ok(&["inspect", "bare.ko"]);
    let back = ["apply", "plan", "out.ko", "--reverse", "--keep-broken-signature", "-o", "back.ko"];
    bench.ok(&back);
    assert_eq!(bench.read("back.ko"), bench.read("some.ko"));
}

#[test]
fn an_image_that_is_another_is_refused_with_what_differs() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--flip", "demo_false_key"]);
    let mut spec = demo::spec();
    spec.build_id = Some(vec![7; 20]);
    fs::write(bench.path("other"), spec.build()).expect("it can be written");
    let words = ["build id: expected 01020304", "found 0707", "not the image"];
    bench.refused(&["apply", "plan", "other", "-o", "out"], 4, &words);
    bench.refused(&["apply", "plan", "other", "--in-place"], 4, &words);
    bench.refused(&["apply", "plan", "other", "--dry-run"], 4, &words);
    let mut changed = bench.read("vmlinux");
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(bench.path("other"), changed).expect("it can be written");
    bench.refused(&["apply", "plan", "other", "-o", "out"], 4, &["XXH3", "was changed"]);
    let by_sha256 = ["apply", "plan", "other", "--sha256", "-o", "out"];
    bench.refused(&by_sha256, 4, &["SHA-256", "was changed"]);
    // It is applied already.
    bench.ok(&["apply", "plan", "--in-place"]);
    bench.refused(&["apply", "plan", "--in-place"], 4, &["not as expected"]);
}

#[test]
fn a_plan_that_was_edited_is_refused_with_the_place() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--flip", "demo_false_key"]);
    let text = String::from_utf8(bench.read("plan")).expect("UTF-8");
    let at = text.find("\"new\":\"").expect("an op") + "\"new\":\"".len();
    let mut edited = text.clone();
    edited.replace_range(at..at + 2, "07");
    fs::write(bench.path("plan"), edited).expect("it can be written");
    bench.refused(&["apply", "plan", "-o", "out"], 4, &["ops[0].new: expected bytes of a branch"]);
    bench.refused(&["apply", "plan", "--in-place"], 4, &["ops[0].new"]);
    fs::write(bench.path("plan"), &text[..text.len() / 2]).expect("it can be written");
    bench.refused(&["apply", "plan", "-o", "out"], 3, &["it ends in the middle"]);
}

#[test]
fn outputs_that_cannot_be() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--flip", "demo_false_key"]);
    std::os::unix::fs::symlink(bench.path("vmlinux"), bench.path("link")).expect("a link");
    bench.refused(&["apply", "plan", "-o", "vmlinux"], 4, &["apply in place"]);
    bench.refused(&["apply", "plan", "-o", "link"], 4, &["apply in place"]);
    bench.refused(&["apply", "plan", "-o", "missing/out"], 5, &["missing"]);
    bench.refused(&["apply", "plan", "-o", "/dev/null"], 4, &["a regular file"]);
    bench.refused(&["apply", "plan"], 2, &["--in-place"]);
    bench.refused(&["apply", "plan", "-o", "out", "--in-place"], 2, &["cannot be used with"]);
    bench.refused(&["apply", "plan", "missing", "-o", "out"], 3, &["missing"]);
    bench.refused(&["apply", "missing", "-o", "out"], 3, &["missing"]);
    fs::hard_link(bench.path("vmlinux"), bench.path("hard")).expect("a link");
    bench.refused(&["apply", "plan", "--in-place"], 4, &["hard links"]);
}

/// A file system of 16 KiB on which `script` runs, with jlctl as `$1` and the
/// directory as `$2`.  It takes a mount namespace: without one the test fails.
fn on_a_small_disk(bench: &Bench, script: &str) -> (i32, String) {
    let small = bench.path("small");
    fs::create_dir(&small).expect("it can be made");
    let script = format!("set -e; mount -t tmpfs -o size=24k none \"$2\"\n{script}");
    let user: &[&str] = if is_root() { &["-m"] } else { &["-Urm"] };
    let output = Command::new("unshare")
        .args(user)
        .args(["sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_jlctl")])
        .arg(&small)
        .current_dir(bench.directory.path())
        .output()
        .expect("unshare (package util-linux) runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("unshare failed"), "no mount namespace here: {text}");
    (output.status.code().unwrap_or(-1), text)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs unshare and mount: testdata/check runs it")]
fn a_disk_that_fills_up_leaves_what_was_there() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--flip", "demo_false_key"]);
    let script = r#"
        echo precious >"$2/out"; head -c 12000 /dev/zero >"$2/fill"
        code=0; "$1" apply plan vmlinux -o "$2/out" || code=$?
        [ "$(cat "$2/out")" = precious ] || { echo "OUT is gone"; exit 9; }
        [ "$(ls -A "$2" | wc -l)" = 2 ] || { ls -A "$2"; exit 9; }
        exit $code"#;
    let (code, text) = on_a_small_disk(&bench, script);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("No space left on device"), "{text}");
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs unshare and mount: testdata/check runs it")]
fn no_room_for_a_journal_leaves_the_image() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--flip", "demo_false_key"]);
    let script = r#"
        cp vmlinux "$2/vmlinux"; cat /dev/zero >"$2/fill" 2>/dev/null || true
        code=0; "$1" apply plan "$2/vmlinux" --in-place || code=$?
        cmp vmlinux "$2/vmlinux" || exit 9
        [ "$(ls -A "$2" | wc -l)" = 2 ] || { ls -A "$2"; exit 9; }
        exit $code"#;
    let (code, text) = on_a_small_disk(&bench, script);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("No space left on device"), "{text}");
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs unshare and mount: testdata/check runs it")]
fn a_read_only_disk_is_said_to_be_one() {
    let bench = Bench::new();
    bench.plan(&["vmlinux", "--flip", "demo_false_key"]);
    let script = r#"
        cp vmlinux "$2/vmlinux"; mount -o remount,ro "$2"
        code=0; "$1" apply plan "$2/vmlinux" --in-place || code=$?
        exit $code"#;
    let (code, text) = on_a_small_disk(&bench, script);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("read-only"), "{text}");
}

#[test]
fn recovery_says_that_there_was_nothing_to_do() {
    let bench = Bench::new();
    let text = bench.ok(&["apply", "--recover", "vmlinux"]);
    assert!(text.contains("nothing to do"), "{text}");
    bench.refused(&["apply", "--recover", "missing"], 3, &["missing"]);
    fs::write(bench.path("vmlinux.jlctl-journal"), b"JLCTLJNL").expect("it can be written");
    bench.refused(&["apply", "--recover", "vmlinux"], 4, &["journal is damaged"]);
}

#[test]
fn a_kernel_and_a_module_are_written_into_a_directory() {
    let bench = Bench::new();
    let module = ImageSpec::module("user")
        .undefined("demo_false_key")
        .function(FunctionSpec::new("function", "user.c", 16))
        .site(SiteSpec::new("function+8", "function+32", "demo_false_key"));
    fs::write(bench.path("user.ko"), module.build()).expect("it can be written");
    bench.plan(&["vmlinux", "user.ko", "--enable", "demo_false_key"]);
    bench.refused(&["apply", "plan", "-o", "out"], 2, &["expected a directory"]);
    bench.refused(&["apply", "plan", "vmlinux", "-o", "out"], 2, &["expected 2 images"]);
    fs::create_dir(bench.path("new")).expect("it can be made");
    bench.ok(&["apply", "plan", "-o", "new"]);
    bench.ok(&["apply", "plan", "new/vmlinux", "new/user.ko", "--reverse", "--in-place"]);
    for name in ["vmlinux", "user.ko"] {
        let path = bench.path("new").join(name);
        assert_eq!(fs::read(path).expect("it is readable"), bench.read(name));
    }
}
