//! Plans of real kernels: after `apply`, another disassembler shows the flipped instructions,
//! no other byte has changed, and `--reverse` restores the original.

use crate::Image;
use crate::real::jlctl::{binary, output, stderr};
use crate::real::path;
use crate::real::tools::{llvm, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs jlctl, which must succeed and write nothing to stderr.
fn jlctl(args: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.args(args);
    let output = output(&mut command);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{args:?}");
    String::from_utf8(output.stdout).expect("it is UTF-8")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("it is JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().expect("a list")
}

fn number(text: &Value) -> u64 {
    let text = text.as_str().expect("an address");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("an address")
}

/// The instruction at each address, by llvm-objdump: mnemonic and operand.
fn objdump(image: &Path, addresses: &[u64]) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    for address in addresses {
        let mut command = llvm("llvm-objdump");
        command.args(["-d", "--no-show-raw-insn", "--no-print-imm-hex"]);
        command.arg(format!("--start-address={address:#x}"));
        command.arg(format!("--stop-address={:#x}", address + 4)).arg(image);
        let text = run(&mut command);
        let prefix = format!("{address:x}:");
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&prefix));
        let line = line.unwrap_or_else(|| panic!("no instruction at {address:#x}: {text}"));
        let insn = line.split('<').next().unwrap_or(line);
        found.insert(*address, insn.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    found
}

fn sha256(path: &Path) -> String {
    let sum = run(Command::new("sha256sum").arg(path));
    sum.split_whitespace().next().expect("a sum").to_owned()
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn a_flip_of_the_memory_controller_of_6_12_is_seen_by_objdump_and_reverted() {
    let image = path(Image::Vmlinux612);
    let directory = tempfile::tempdir().expect("a directory");
    let [plan, flipped, back] =
        ["plan.json", "flipped", "back"].map(|name| directory.path().join(name));
    let key = "memory_cgrp_subsys_enabled_key";
    jlctl(&["plan", text(&image), "--flip", key, "-o", text(&plan)]);
    let document = json(&fs::read_to_string(&plan).expect("it is there"));
    let inspected =
        json(&jlctl(&["inspect", text(&image), "--key", key, "--sites", "--format", "json"]));
    let (ops, sites) = (list(&document, "ops"), list(&inspected, "sites"));
    assert_eq!(ops.len(), sites.len());
    for op in ops {
        assert!(op["function"].is_string() && op["source"]["line"].is_u64(), "{op}");
    }
    let report = json(&jlctl(&[
        "apply",
        text(&plan),
        text(&image),
        "-o",
        text(&flipped),
        "--format",
        "json",
    ]));

    // Every tenth site: each run of the disassembler takes time.
    let sample: Vec<&Value> = ops.iter().step_by(10).collect();
    let addresses: Vec<u64> = sample.iter().map(|op| number(&op["address"])).collect();
    let shown = objdump(&flipped, &addresses);
    for op in &sample {
        let wanted = match op["to"].as_str() {
            Some("nop") => "nop".to_owned(),
            _ => format!("b {:#x}", number(&op["target"])),
        };
        assert_eq!(shown[&number(&op["address"])], wanted, "{op}");
    }

    // Exactly the bytes that the plan writes differ.
    let (old, new) =
        (fs::read(&image).expect("it is there"), fs::read(&flipped).expect("it is there"));
    assert_eq!(old.len(), new.len());
    let differing: Vec<usize> = (0..old.len()).filter(|at| old[*at] != new[*at]).collect();
    assert_eq!(report["images"][0]["bytes_changed"], differing.len());
    let mut planned = Vec::new();
    let writes = ops.iter().chain(list(&document, "key_writes"));
    for write in writes {
        let offset =
            usize::try_from(write["file_offset"].as_u64().expect("an offset")).expect("it fits");
        let bytes = |name: &str| {
            let hex = write[name].as_str().expect("bytes").as_bytes().chunks(2);
            hex.map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
            })
            .collect::<Vec<u8>>()
        };
        let pairs = bytes("old").into_iter().zip(bytes("new")).enumerate();
        planned.extend(pairs.filter(|(_, (old, new))| old != new).map(|(at, _)| offset + at));
    }
    planned.sort_unstable();
    assert_eq!(differing, planned);
    drop((old, new));

    let after =
        json(&jlctl(&["inspect", text(&flipped), "--no-source", "--format", "json", "--keys"]));
    assert_eq!(list(&after, "diagnostics"), [] as [Value; 0]);
    assert_eq!(after["summary"]["flipped"], 1);
    jlctl(&["apply", text(&plan), text(&flipped), "--reverse", "-o", text(&back)]);
    assert_eq!(sha256(&back), sha256(&image));
    assert_eq!(document["images"][0]["sha256"], sha256(&image));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn flips_of_all_keys_hold_on_every_kernel() {
    for image in [Image::Vmlinux510, Image::Vmlinux612, Image::VmlinuxAmd64, Image::VmlinuxRiscv64]
    {
        let image = path(image);
        let plan =
            json(&jlctl(&["plan", text(&image), "--flip", "*", "--no-source", "--format", "json"]));
        let inspected =
            json(&jlctl(&["inspect", text(&image), "--no-source", "--format", "json", "--keys"]));
        // In an unmodified kernel every site can be flipped.
        assert_eq!(
            inspected["summary"]["entries"],
            list(&plan, "ops").len(),
            "{}",
            image.display()
        );
        assert_eq!(inspected["summary"]["keys"], list(&plan, "keys").len());
        let codes: BTreeMap<&str, usize> =
            list(&plan, "refusals").iter().fold(BTreeMap::new(), |mut codes, refusal| {
                *codes.entry(refusal["code"].as_str().expect("a code")).or_default() += 1;
                codes
            });
        let known = ["zero-filled", "read-only-after-init"];
        assert!(codes.keys().all(|code| known.contains(code)), "{codes:?}");
        let no_bytes = list(&inspected, "keys").iter().filter(|key| key["file_backed"] == false);
        assert_eq!(codes.get("zero-filled"), Some(&no_bytes.count()));
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn a_key_of_the_kernel_is_planned_in_all_its_modules() {
    let (kernel, modules) = (path(Image::Vmlinux612), path(Image::Modules612));
    let plan = json(&jlctl(&[
        "plan",
        text(&kernel),
        text(&modules),
        "--flip",
        "devmap_managed_key",
        "--no-source",
        "--format",
        "json",
    ]));
    let set = json(&jlctl(&[
        "inspect",
        text(&kernel),
        text(&modules),
        "--key",
        "devmap_managed_key",
        "--no-source",
        "--format",
        "json",
    ]));
    assert_eq!(list(&plan, "ops").len(), list(&set, "sites").len());
    assert!(list(&plan, "images").len() > 10);
    // Debian's modules are compressed files of signed modules.
    let codes: Vec<&str> =
        list(&plan, "refusals").iter().filter_map(|refusal| refusal["code"].as_str()).collect();
    assert!(codes.contains(&"container") && codes.contains(&"signed"), "{codes:?}");
}
