//! `jlctl diff` of real kernels: its numbers add up to those of the tables, and its report has
//! the known changes.

use crate::Image;
use crate::real::jlctl::{binary, output, stderr};
use crate::real::path;
use serde_json::Value;
use std::process::Command;

fn diff(a: Image, b: Image) -> Value {
    let mut command = Command::new(binary());
    command.args(["diff", "--format", "json"]).arg(path(a)).arg(path(b));
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

fn list<'a>(diff: &'a Value, name: &str) -> &'a [Value] {
    diff[name].as_array().unwrap_or_else(|| panic!("{name} is a list"))
}

/// Each key and site of a table is in exactly one list.
fn demand_sums(diff: &Value) {
    let (keys, sites) = (&diff["summary"]["keys"], &diff["summary"]["sites"]);
    let in_both = number(&keys["same"]) + number(&keys["different"]);
    assert_eq!(in_both + number(&keys["removed"]), number(&diff["a"]["keys"]));
    assert_eq!(in_both + number(&keys["added"]), number(&diff["b"]["keys"]));
    assert_eq!(list(diff, "keys").len() as u64, number(&keys["different"]));
    assert_eq!(list(diff, "removed").len() as u64, number(&keys["removed"]));
    assert_eq!(list(diff, "added").len() as u64, number(&keys["added"]));
    let lost = number(&sites["removed"]) + number(&sites["of_removed_keys"]);
    let gained = number(&sites["added"]) + number(&sites["of_added_keys"]);
    assert_eq!(number(&diff["a"]["sites"]) - lost, number(&diff["b"]["sites"]) - gained);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn an_upgrade_from_5_10_to_6_12() {
    let (there, back) =
        (diff(Image::Vmlinux510, Image::Vmlinux612), diff(Image::Vmlinux612, Image::Vmlinux510));
    demand_sums(&there);
    demand_sums(&back);
    let keys = |diff: &Value, what: &str| number(&diff["summary"]["keys"][what]);
    for (what, mirrored) in
        [("same", "same"), ("added", "removed"), ("removed", "added"), ("renamed", "renamed")]
    {
        assert_eq!(keys(&there, what), keys(&back, mirrored), "{what}");
    }
    // The key with the most sites in 5.10, which the rework of CPU capabilities removed.
    let removed = list(&there, "removed").iter();
    let ready: Vec<&Value> =
        removed.filter(|key| key["name"] == "arm64_const_caps_ready").collect();
    assert_eq!(ready.len(), 1);
    assert_eq!(number(&ready[0]["sites"]), 11810);
    // Most tracepoints stay, although numbers in other names change.
    assert!(keys(&there, "same") > 1000 && keys(&there, "renamed") < 20);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn kernels_of_other_architectures() {
    for b in [Image::VmlinuxAmd64, Image::VmlinuxRiscv64] {
        demand_sums(&diff(Image::Vmlinux612, b));
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn a_kernel_equals_itself() {
    let diff = diff(Image::Vmlinux612, Image::Vmlinux612);
    assert_eq!(diff["summary"]["different"], false);
    demand_sums(&diff);
}
