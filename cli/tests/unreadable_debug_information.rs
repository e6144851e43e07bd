//! Debug information that cannot be read costs source lines and nothing else.

use jlctl_synthetic::broken::debug;
use std::process::Command;

#[test]
fn it_is_a_warning_of_its_own() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("bomb");
    std::fs::write(&path, debug::compression_bomb()).expect("the image is written");
    let run = Command::new(env!("CARGO_BIN_EXE_jlctl"))
        .args(["inspect", "--sites", "--format", "json"])
        .arg(&path)
        .output()
        .expect("jlctl runs");
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let found = &report["diagnostics"][0];
    assert_eq!((&found["code"], &found["severity"]), (&"JT102".into(), &"warning".into()));
    assert!(report["sites"][0]["source"].is_null());
    assert_eq!(run.status.code(), Some(0), "a warning is no finding at the failing level");
}
