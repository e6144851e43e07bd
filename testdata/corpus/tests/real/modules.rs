//! Counts of the tables of modules: golden numbers for the pinned kernel, invariants for all
//! kernels.

use crate::real::module::{Module, Table, Tables, Totals, bytes};
use crate::real::path;
use crate::{self as corpus, DEBUG_MODULES, Image};
use std::sync::OnceLock;

/// The tables of the fetched modules by the second reader, the reference for other readers.
pub(crate) fn tables(image: Image) -> &'static Tables {
    static READ: [OnceLock<Tables>; Image::ALL.len()] =
        [const { OnceLock::new() }; Image::ALL.len()];
    let index = Image::ALL.iter().position(|other| *other == image).expect("one of all");
    READ[index].get_or_init(|| Tables::of(&path(image)))
}

/// Counts, prints and returns the totals.
fn totals(image: Image) -> Totals {
    let totals = tables(image).totals();
    let (modules, with_table, entries, undefined, symbols) = totals;
    let version = corpus::version(image).expect("the package is recorded");
    println!(
        "{version}: {modules} modules, {with_table} with tables of {entries} entries, \
         {undefined} of them with keys that are {symbols} undefined symbols"
    );
    totals
}

/// The totals of a kernel that is not pinned: exact for one release, plausible for all.
fn demand_totals(image: Image, known_release: &str, known: Totals) {
    let totals = totals(image);
    let (modules, with_table, entries, undefined, symbols) = totals;
    assert!(modules > with_table && with_table > 100, "{totals:?}");
    assert!(entries > 10 * with_table && entries > undefined, "{totals:?}");
    assert!(undefined >= symbols && symbols > 10, "{totals:?}");
    let release = corpus::release(image).expect("it is fetched");
    if release.name.starts_with(known_release) {
        assert_eq!(totals, known);
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn modules_of_5_10_have_their_numbers() {
    assert_eq!(totals(Image::Modules510), (944, 521, 39767, 31663, 46));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn modules_of_6_12_have_their_numbers() {
    demand_totals(Image::Modules612, "6.12.117+", (1083, 350, 10851, 477, 62));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn modules_of_amd64_have_their_numbers() {
    demand_totals(Image::ModulesAmd64, "6.12.107+", (1138, 371, 11660, 1153, 95));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn modules_of_riscv64_have_their_numbers() {
    demand_totals(Image::ModulesRiscv64, "6.12.107+", (3103, 1183, 35381, 2055, 93));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn undefined_keys_are_named() {
    let tables = tables(Image::Modules510);
    let nf_tables = path(Image::Modules510).join("kernel/net/netfilter/nf_tables.ko");
    let Table { entries, undefined } = &tables.tables[&nf_tables];
    // On arm64 5.10 every test of a CPU feature is a site with a key of the kernel's array.
    assert!(undefined.contains_key("cpu_hwcap_keys"), "{undefined:?}");
    assert!(*entries >= undefined.values().sum(), "{undefined:?}");
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn debug_files_are_those_of_the_modules() {
    const NOTE: &str = ".note.gnu.build-id";
    let release = corpus::release(Image::Debug612).expect("it is fetched");
    assert_eq!(corpus::release(Image::Modules612).as_ref(), Some(&release));
    let debug_files = path(Image::Debug612).join("lib/modules").join(release.name).join("kernel");
    for name in DEBUG_MODULES {
        let module = bytes(&path(Image::Modules612).join(format!("kernel/{name}.ko.xz")));
        let debug = bytes(&debug_files.join(format!("{name}.ko")));
        let (module, debug) = (Module::new(&module), Module::new(&debug));
        let note = module.section(NOTE).expect("a module has a build id");
        assert!(note.1.is_some_and(|note| note.len() > 20), "{name}");
        assert_eq!(debug.section(NOTE), Some(note), "{name}");
        let table = module.section("__jump_table").expect("the module has a table").0;
        assert_eq!(debug.section("__jump_table").map(|(size, _)| size), Some(table), "{name}");
        let lines = debug.section(".debug_line").and_then(|(_, bytes)| bytes);
        assert!(lines.is_some_and(|lines| !lines.is_empty()), "{name} has no source lines");
        assert!(module.section(".debug_line").is_none(), "{name}");
    }
}
