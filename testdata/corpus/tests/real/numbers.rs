//! The summary: golden numbers for the pinned kernel, invariants for all kernels.

use crate::real::jlctl::{Report, Summary, inspect};
use crate::real::tools::Nm;
use crate::real::{address, path};
use crate::{self as corpus, Image};
use std::collections::BTreeMap;

/// Entries, NOPs, branches, keys, and entries by section.
type Numbers<'a> = (usize, usize, usize, usize, BTreeMap<&'a str, usize>);

fn numbers(summary: &Summary) -> Numbers<'_> {
    let sections = summary.sections.iter().map(|(name, sites)| (name.as_str(), *sites));
    (summary.entries, summary.nop, summary.jmp, summary.keys, sections.collect())
}

fn sections(text: usize, init: usize, exit: usize) -> BTreeMap<&'static str, usize> {
    BTreeMap::from([(".text", text), (".init.text", init), (".exit.text", exit)])
}

/// The invariants of every kernel.
fn demand_invariants(image: Image, report: &Report) {
    assert_eq!(report.schema, "jlctl.inspect/1");
    assert_eq!((report.image.arch.as_str(), report.image.r#type.as_str()), ("arm64", "dyn"));
    let nm = Nm::of(&path(image));
    let (start, stop) = (nm.address("__start___jump_table"), nm.address("__stop___jump_table"));
    let table = &report.table;
    assert_eq!((address(&table.address), address(&table.end)), (start, stop));
    assert_eq!(
        (table.entry_size, table.layout.as_str(), table.located_by.as_str()),
        (16, "relative", "symbols")
    );
    let summary = &report.summary;
    assert_eq!(summary.entries as u64, (stop - start) / 16);
    assert_eq!((summary.nop + summary.jmp, summary.other), (summary.entries, 0));
    assert_eq!(summary.sections.values().sum::<usize>(), summary.entries);
    assert_eq!(summary.keys, report.keys().len());
    assert_eq!(summary.entries, report.sites().len());
    let errors = report.diagnostics.iter().filter(|found| found.severity == "error");
    let errors: Vec<String> =
        errors.map(|found| format!("{}: {}", found.code, found.message)).collect();
    crate::real::demand_none("diagnostics of severity error", &errors);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn vmlinux_5_10_has_its_numbers() {
    let report = inspect(&path(Image::Vmlinux510), &["--no-source".as_ref()]);
    demand_invariants(Image::Vmlinux510, &report);
    assert_eq!(numbers(&report.summary), (27757, 4658, 23099, 2040, sections(27560, 196, 1)));
    assert_eq!(report.image.release.as_deref(), Some("5.10.0-32-cloud-arm64"));
    let build_id = "95c2351a2f6ba0875b2c637a0a3e4ce9900ed96f";
    assert_eq!(report.image.build_id.as_deref(), Some(build_id));
    assert!(report.diagnostics.is_empty(), "{:?}", report.diagnostics);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn vmlinux_6_12_has_its_numbers() {
    let report = inspect(&path(Image::Vmlinux612), &["--no-source".as_ref()]);
    demand_invariants(Image::Vmlinux612, &report);
    let release = report.image.release.as_deref().expect("a kernel has a release");
    let version = corpus::version(Image::Vmlinux612).expect("the package is recorded");
    let package = version.split(' ').next().unwrap_or_default();
    assert_eq!(package, format!("linux-image-{release}-dbg"));
    assert!(report.image.build_id.is_some(), "a kernel has a build id");
    if release.starts_with("6.12.117+") {
        assert_eq!(numbers(&report.summary), (11287, 11091, 196, 5758, sections(11124, 161, 2)));
        assert!(report.diagnostics.is_empty(), "{:?}", report.diagnostics);
    }
}
