//! Descriptions of keys: paths and types from DWARF, kinds, and descriptors of dynamic debug,
//! compared with nm and with the frames of their sites.

use crate::Image;
use crate::real::tools::Nm;
use crate::real::{demand_none, mapped, path};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::{DebugInfo, ObjectPath, ObjectQuery};
use jlctl_analyzer::image::Image as ElfImage;
use jlctl_analyzer::jump_table::{Classifier, DdebugSite, Holder, JumpTable, Key, KeyKind};
use std::collections::BTreeMap;

/// Bytes of a static key.
const KEY_BYTES: u64 = 16;

/// A key and its whole description.
struct Described {
    symbol: String,
    offset: u64,
    address: u64,
    /// Its first site.
    site: u64,
    path: Option<ObjectPath>,
    kind: KeyKind,
    /// The kind without debug information.
    kind_by_name: KeyKind,
    descriptor: Option<(String, String, u32)>,
}

fn describe(image: Image) -> Vec<Described> {
    let (path, file) = (path(image), mapped(image));
    let image = ElfImage::parse(file.bytes()).expect("an image");
    let table = JumpTable::read(&image).expect("a table");
    let sections = ElfImage::parse_sections(file.bytes()).expect("sections");
    let debug_info = DebugInfo::new(&sections).expect("debug information");
    let code = |key: &Key| key.sites.iter().map(|site| table.entry(*site).code).collect();
    let sites: Vec<Vec<Svma>> = table.keys().iter().map(code).collect();
    let symbol = |key: &Key| {
        let symbol = key.symbol.expect("every key of a kernel has a symbol");
        (image.symbols().name(symbol.symbol).into_owned(), symbol.offset)
    };
    let symbols: Vec<(String, u64)> = table.keys().iter().map(symbol).collect();
    let queries: Vec<ObjectQuery<'_>> = table
        .keys()
        .iter()
        .zip(symbols.iter().zip(&sites))
        .map(|(key, ((name, offset), sites))| ObjectQuery {
            name,
            address: Svma(key.address.0 - offset),
            offset: *offset,
            sites,
            initially_true: key.initially_true(),
        })
        .collect();
    let found = debug_info.object_paths(&queries, &path);
    assert_eq!(found.faults, []);
    assert_eq!(found.paths.len(), queries.len());
    let classifier = Classifier::new(&image);
    let keys = table.keys().iter().zip(&queries).zip(found.paths);
    keys.map(|((key, query), path)| {
        let holder = Holder {
            symbol: Some(query.name),
            section: key.section.map(|id| image.section(id).name),
            object_type: path.as_ref().and_then(|path| path.object_type.as_deref()),
            address: Some(key.address),
        };
        let kind = classifier.kind(&holder);
        let descriptor = (kind == KeyKind::DynamicDebug)
            .then(|| DdebugSite::of_key(&image, key.address))
            .flatten();
        Described {
            symbol: query.name.to_owned(),
            offset: query.offset,
            address: key.address.0,
            site: query.sites[0].0,
            kind,
            kind_by_name: classifier.kind(&Holder { object_type: None, ..holder }),
            descriptor: descriptor
                .map(|found| (found.file.into_owned(), found.function.into_owned(), found.line)),
            path,
        }
    })
    .collect()
}

/// The path that names and sizes of nm suggest, if they are sufficient.
fn expected_path(nm: &Nm, key: &Described) -> Option<String> {
    let start = key.address - key.offset;
    let object = nm.at(start).iter().find(|symbol| symbol.name == key.symbol);
    let size = object.unwrap_or_else(|| panic!("nm lists {}", key.symbol)).size;
    match (key.symbol.as_str(), size) {
        (symbol, _) if symbol.starts_with("__tracepoint_") => Some(".key".to_owned()),
        // One row for each protocol, with five hooks.
        ("nf_hooks_needed", _) => {
            let index = key.offset / KEY_BYTES;
            Some(format!("[{}][{}]", index / 5, index % 5))
        }
        (_, KEY_BYTES) => Some(String::new()),
        (symbol, _) if symbol.ends_with("_keys") => Some(format!("[{}]", key.offset / KEY_BYTES)),
        ("cgroup_bpf_enabled_key" | "perf_swevent_enabled", _) => {
            Some(format!("[{}]", key.offset / KEY_BYTES))
        }
        _ => None,
    }
}

/// An object that is a key or an array of keys ends with its symbol.
fn wrong_size(nm: &Nm, key: &Described) -> Option<String> {
    let object_type = key.path.as_ref()?.object_type.as_deref()?;
    let (element, lengths) = object_type.split_once('[').unwrap_or((object_type, ""));
    let is_key = ["struct static_key", "struct static_key_true", "struct static_key_false"];
    let lengths = lengths.split(['[', ']']).filter_map(|length| length.parse::<u64>().ok());
    let bytes = lengths.product::<u64>() * KEY_BYTES;
    // Aliases (of KVM's hypervisor, of linker scripts) have no size.
    let aliases = nm.at(key.address - key.offset).iter();
    let found = aliases.map(|symbol| symbol.size).max()?;
    (is_key.contains(&element) && bytes != found)
        .then(|| format!("{object_type} takes {bytes} bytes, its symbol {found}"))
}

fn compare_paths(image: Image) -> Vec<Described> {
    let (keys, nm) = (describe(image), Nm::of(&path(image)));
    let mut differences = Vec::new();
    for key in &keys {
        let found = key.path.as_ref().map(|found| found.path.as_str());
        let name = format!("{}+{:#x}", key.symbol, key.offset);
        if found.is_none() {
            differences.push(format!("{name} has no path"));
        }
        if let Some(expected) = expected_path(&nm, key).filter(|path| Some(path.as_str()) != found)
        {
            differences.push(format!("{name}: expected {expected:?}, found {found:?}"));
        }
        if key.kind == KeyKind::DynamicDebug
            && !found.is_some_and(|path| path.starts_with(".key.dd_key_"))
        {
            differences.push(format!("{name} is a descriptor, found {found:?}"));
        }
        differences.extend(wrong_size(&nm, key).map(|wrong| format!("{name}: {wrong}")));
        if key.kind != key.kind_by_name && !key.symbol.starts_with("descriptor") {
            differences.push(format!("{name}: {:?}, by name {:?}", key.kind, key.kind_by_name));
        }
    }
    demand_none("paths", &differences);
    keys
}

/// Compares a descriptor with the frames of its site: its function contains the site, at its
/// line.
fn compare_descriptors(image: Image, keys: &[Described]) {
    let (path, file) = (path(image), mapped(image));
    let sections = ElfImage::parse_sections(file.bytes()).expect("sections");
    let debug_info = DebugInfo::new(&sections).expect("debug information");
    let keys: Vec<&Described> =
        keys.iter().filter(|key| key.kind == KeyKind::DynamicDebug).collect();
    let sites: Vec<Svma> = keys.iter().map(|key| Svma(key.site)).collect();
    let frames = debug_info.frames(&sites, &path, &|_| {});
    let mut differences = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let Some((file, function, line)) = &key.descriptor else {
            differences.push(format!("{} has no descriptor", key.symbol));
            continue;
        };
        let chain = frames.chain(index);
        let found = chain.iter().any(|frame| {
            frame.function.is_some_and(|name| frames.string(name) == function)
                && frame.file.is_some_and(|path| {
                    frames.string(path).ends_with(file.trim_start_matches("./"))
                })
        });
        // For a statement of several lines, the compiler may record the first line and the
        // preprocessor the last, or vice versa.
        let is_near =
            chain.iter().any(|frame| frame.line.is_some_and(|found| found.abs_diff(*line) <= 8));
        if !found || !is_near {
            let frames: Vec<_> = chain
                .iter()
                .map(|frame| (frame.function.map(|name| frames.string(name)), frame.line))
                .collect();
            differences.push(format!("{file}:{line} {function}: {frames:?}"));
        }
    }
    demand_none("descriptors", &differences);
}

fn counts(keys: &[Described]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    keys.iter().for_each(|key| *counts.entry(key.kind.name()).or_default() += 1);
    assert_eq!(counts.values().sum::<usize>(), keys.len());
    counts
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn keys_of_5_10_are_named_and_of_known_kinds() {
    let keys = compare_paths(Image::Vmlinux510);
    compare_descriptors(Image::Vmlinux510, &keys);
    let expected = [
        ("bpf-cgroup", 1),
        ("cgroup-subsystem", 6),
        ("cpu-capability", 35),
        ("dynamic-debug", 1285),
        ("netfilter-hook", 13),
        ("once", 20),
        ("perf-event", 7),
        ("plain", 63),
        ("sched-feature", 23),
        ("tracepoint", 587),
    ];
    assert_eq!(counts(&keys), BTreeMap::from(expected));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn keys_of_6_12_are_named_and_of_known_kinds() {
    let keys = compare_paths(Image::Vmlinux612);
    compare_descriptors(Image::Vmlinux612, &keys);
    let counts = counts(&keys);
    // Without the mechanisms that have thousands of keys, few enough keys remain to read.
    let most = ["security-hook", "dynamic-debug", "tracepoint"].map(|kind| counts[kind]);
    assert!(most.iter().sum::<usize>() * 10 > keys.len() * 9, "{counts:?}");
    assert!((50..200).contains(&counts["plain"]), "{counts:?}");
}
