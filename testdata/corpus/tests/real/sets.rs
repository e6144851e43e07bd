//! A kernel with all its modules, read as one set: the counts are those of the second reader,
//! and every key is defined.

use crate::Image;
use crate::real::jlctl::{binary, output, stderr};
use crate::real::modules::tables;
use crate::real::path;
use serde::Deserialize;
use std::collections::HashMap;
use std::process::Command;

#[derive(Debug, Deserialize)]
struct Report {
    images: Vec<FileRecord>,
    summary: Summary,
    keys: Vec<Key>,
    sites: Vec<Site>,
    diagnostics: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct FileRecord {
    path: String,
    error: Option<String>,
    image: Option<ImageRecord>,
    summary: Option<Summary>,
}

#[derive(Debug, Deserialize)]
struct ImageRecord {
    container: Option<String>,
    signature: Option<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    signers: Vec<serde_json::Value>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    entries: usize,
    other: usize,
}

#[derive(Debug, Deserialize)]
struct Key {
    name: String,
    kind: String,
    sites: usize,
    image: Option<usize>,
    unresolved: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Site {
    image: usize,
    key_name: String,
    insn: String,
    function: Option<String>,
}

fn read(kernel: Image, modules: Image) -> Report {
    let mut command = Command::new(binary());
    command.args(["inspect", "--no-source", "--format", "json"]);
    command.args([path(kernel), path(modules)]);
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Reads the set and checks the invariants of a kernel with its modules.
fn demand(kernel: Image, modules: Image) -> Report {
    let report = read(kernel, modules);
    let counted = tables(modules);
    assert!(report.diagnostics.is_empty(), "{:?}", report.diagnostics.first());
    assert_eq!(report.images.len(), counted.modules + 1, "the kernel and every module");
    assert!(report.images.iter().all(|file| file.error.is_none()));

    // The same files with the same number of entries.
    let root = path(modules);
    for file in &report.images[1..] {
        let relative = file.path.strip_prefix(root.to_str().expect("UTF-8")).expect("below");
        let wanted = counted
            .tables
            .iter()
            .find(|(path, _)| path.to_string_lossy().ends_with(relative.trim_start_matches('/')))
            .map(|(_, table)| table.entries);
        let found = file.summary.as_ref().map(|summary| summary.entries);
        assert_eq!(found, wanted, "{}", file.path);
    }
    let kernel_entries = report.images[0].summary.as_ref().map_or(0, |summary| summary.entries);
    let entries = kernel_entries + counted.totals().2;
    assert_eq!((report.summary.entries, report.sites.len()), (entries, entries));
    assert_eq!(report.summary.other, 0);
    assert!(report.sites.iter().all(|site| matches!(site.insn.as_str(), "nop" | "jmp")));

    // Every key has a name and a definition: the archive's modules need no other modules.
    let unresolved: Vec<&Key> = report.keys.iter().filter(|key| key.image.is_none()).collect();
    assert!(unresolved.is_empty(), "{unresolved:?}");
    assert!(report.keys.iter().all(|key| key.unresolved.is_none() && !key.name.is_empty()));
    let is_address = |name: &str| name.starts_with("0x") || name.starts_with('.');
    let nameless: Vec<&Key> = report.keys.iter().filter(|key| is_address(&key.name)).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    assert_eq!(report.keys.iter().map(|key| key.sites).sum::<usize>(), entries);

    // Each key that is undefined in a module is defined in another file.
    let mut of_kernel: HashMap<&str, usize> = HashMap::new();
    for site in report.sites.iter().filter(|site| site.image != 0) {
        *of_kernel.entry(site.key_name.as_str()).or_default() += 1;
    }
    let mut undefined: HashMap<&str, usize> = HashMap::new();
    for table in counted.tables.values() {
        for (name, sites) in &table.undefined {
            *undefined.entry(name.as_str()).or_default() += sites;
        }
    }
    assert!(undefined.len() > 10);
    for (symbol, sites) in undefined {
        let of_symbol = |name: &str| {
            name.strip_prefix(symbol).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('+') || rest.starts_with('[')
            })
        };
        let found: usize =
            of_kernel.iter().filter(|(name, _)| of_symbol(name)).map(|(_, sites)| sites).sum();
        // Modules that define the object also use it.
        assert!(found >= sites, "{symbol}: expected at least {sites} sites, found {found}");
    }
    report
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_kernel_and_modules_of_6_12() {
    let report = demand(Image::Vmlinux612, Image::Modules612);
    for file in &report.images[1..] {
        let image = file.image.as_ref().expect("it was read");
        assert_eq!(image.container.as_deref(), Some("xz"), "{}", file.path);
        let signature = image.signature.as_ref().expect("Debian signs modules");
        assert!(signature.error.is_none() && signature.signers.len() == 1, "{}", file.path);
    }
    // The classes that a reader usually excludes have most keys.
    let inert = ["dynamic-debug", "tracepoint", "security-hook"];
    let rest = report.keys.iter().filter(|key| !inert.contains(&key.kind.as_str())).count();
    assert!(rest * 20 < report.keys.len(), "{rest} of {}", report.keys.len());
    assert!(report.sites.iter().filter(|site| site.function.is_none()).count() < 10);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_kernel_and_modules_of_5_10() {
    demand(Image::Vmlinux510, Image::Modules510);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_kernel_and_modules_of_amd64() {
    demand(Image::VmlinuxAmd64, Image::ModulesAmd64);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_kernel_and_modules_of_riscv64() {
    demand(Image::VmlinuxRiscv64, Image::ModulesRiscv64);
}
