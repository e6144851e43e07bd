//! Keys that the environment enables or disables at the start.
#![allow(unsafe_code, reason = "sites")]

use crate::common::rerun::{rerun, role, test_path};
use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};
use std::process::{Command, Output};

define_static_key_false!(static STARTUP_OFF);
define_static_key_true!(static STARTUP_ON);

mod inner {
    jlctl_shim::define_static_key_false!(pub(super) static STARTUP_TWICE);
}

mod other {
    jlctl_shim::define_static_key_false!(pub(super) static STARTUP_TWICE);
}

#[inline(never)]
fn sees() -> [bool; 6] {
    [
        static_branch_unlikely!(STARTUP_OFF),
        static_branch_likely!(STARTUP_OFF),
        static_branch_unlikely!(STARTUP_ON),
        static_branch_likely!(STARTUP_ON),
        static_branch_unlikely!(inner::STARTUP_TWICE),
        static_branch_unlikely!(other::STARTUP_TWICE),
    ]
}

/// Runs this program again with `variables`.  Returns the sides that its sites take, and its
/// standard error.
fn run(test: &str, variables: &[(&str, &str)]) -> (String, String) {
    let mut command: Command = rerun(test, "see");
    command.envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}: {stdout}{stderr}");
    let seen = stdout.split("seen ").nth(1).unwrap_or_else(|| panic!("{stdout}{stderr}"));
    (seen.lines().next().unwrap_or_default().to_owned(), stderr.into_owned())
}

#[test]
fn keys_are_flipped_before_main() {
    let name = test_path!();
    if role().is_some() {
        let keys = [STARTUP_OFF.is_enabled(), STARTUP_ON.is_enabled()];
        println!("seen {:?} {:?}", sees().map(u8::from), keys.map(u8::from));
        return;
    }
    for (enable, disable, seen, message) in [
        ("", "", "[0, 0, 1, 1, 0, 0] [0, 1]", ""),
        ("STARTUP_OFF", "", "[1, 1, 1, 1, 0, 0] [1, 1]", ""),
        ("", "environment::STARTUP_ON", "[0, 0, 0, 0, 0, 0] [0, 0]", ""),
        (
            " environment::STARTUP_OFF ,environment::inner::STARTUP_TWICE,,",
            "STARTUP_ON",
            "[1, 1, 0, 0, 1, 0] [1, 0]",
            "",
        ),
        (
            "STARTUP_TWICE,STARTUP_OFF",
            "",
            "[1, 1, 1, 1, 0, 0] [1, 1]",
            "jlshim: JLSHIM_ENABLE: STARTUP_TWICE: several keys have this name",
        ),
        (
            "nowhere,STARTUP_OFF",
            "STARTUP_O",
            "[1, 1, 1, 1, 0, 0] [1, 1]",
            "jlshim: JLSHIM_ENABLE: nowhere: no key has this name\n\
             jlshim: JLSHIM_DISABLE: STARTUP_O: no key has this name\n",
        ),
        ("STARTUP_ON", "STARTUP_OFF", "[0, 0, 1, 1, 0, 0] [0, 1]", ""),
    ] {
        let variables = [("JLSHIM_ENABLE", enable), ("JLSHIM_DISABLE", disable)];
        let (found, stderr) = run(name, &variables);
        assert_eq!(found, seen, "{variables:?}: {stderr}");
        assert!(stderr.contains(message), "{variables:?}: {stderr}");
        assert!(!message.is_empty() || !stderr.contains("jlshim:"), "{variables:?}: {stderr}");
    }
}

#[test]
fn keys_that_cannot_be_flipped_are_reported() {
    let name = test_path!();
    if role().is_some() {
        println!("seen {:?}", sees().map(u8::from));
        return;
    }
    // A key that the report counts, and a name that no key has.
    let report = std::env::temp_dir().join(format!("jlshim-startup-{}", std::process::id()));
    let path = report.to_str().expect("UTF-8");
    let variables = [("JLSHIM_ENABLE", "STARTUP_OFF,gone"), ("JLSHIM_REPORT", path)];
    let (seen, _) = run(name, &variables);
    assert_eq!(seen, "[1, 1, 1, 1, 0, 0]");
    let text = std::fs::read_to_string(&report).expect("a report");
    std::fs::remove_file(&report).expect("the file exists");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["startup_flipped"], &report["startup_unknown"]), (&1.into(), &1.into()));
    assert_eq!(report["patches"], 2);
}
