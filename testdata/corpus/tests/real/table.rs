//! Every entry, key and site, compared with the second reader, nm and LLVM.

use crate::Image;
use crate::real::jlctl::{Key, Report, Site, inspect};
use crate::real::reader::{self, Entry, Kernel};
use crate::real::tools::{self, Nm};
use crate::real::{address, demand_none, mapped, path};
use std::collections::HashMap;

fn report(image: Image) -> Report {
    inspect(&path(image), &["--no-source".as_ref()])
}

fn entry(site: &Site) -> Entry {
    assert!(["likely", "unlikely"].contains(&site.branch.as_str()), "{site:?}");
    Entry {
        code: address(&site.code),
        target: address(&site.target),
        key: address(&site.key),
        likely: site.branch == "likely",
    }
}

fn compare_entries(image: Image) {
    let (report, file) = (report(image), mapped(image));
    let (kernel, nm) = (Kernel::new(file.bytes()), Nm::of(&path(image)));
    let (start, stop) = (nm.address("__start___jump_table"), nm.address("__stop___jump_table"));
    let expected = kernel.entries(start, stop);
    assert_eq!(expected.len(), report.sites().len());
    let mut differences = Vec::new();
    for (index, (expected, site)) in expected.iter().zip(report.sites()).enumerate() {
        let word = kernel.word(expected.code);
        let found = (site.index, entry(site), site.section.as_deref(), site.bytes.clone());
        let bytes: String = word.to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
        let section = kernel.section_name(expected.code);
        if found.0 != index || &found.1 != expected || found.2 != section || found.3 != Some(bytes)
        {
            differences.push(format!("{index}: {expected:x?} in {section:?}, jlctl: {found:x?}"));
        }
        // The kernel's rule: the site holds a branch if and only if key ^ branch.
        let on = kernel.key_state(expected.key).initially_true;
        let rule = if on != expected.likely { "jmp" } else { "nop" };
        let insn = match reader::branch_target(expected.code, word) {
            Some(target) if target == expected.target => "jmp",
            None if reader::is_nop(word) => "nop",
            _ => "other",
        };
        if site.insn != insn || insn != rule {
            differences.push(format!("{index}: {word:08x} is {insn}, demanded {rule}: {site:?}"));
        }
    }
    demand_none("entries", &differences);
}

fn compare_keys(image: Image) {
    let (report, file) = (report(image), mapped(image));
    let (kernel, nm) = (Kernel::new(file.bytes()), Nm::of(&path(image)));
    let addresses: Vec<u64> = report.keys().iter().map(|key| address(&key.address)).collect();
    assert!(addresses.is_sorted_by(|a, b| a < b), "keys are listed once each, by address");
    let mut sites = tools::count(report.sites().iter().map(|site| site.key.as_str()));
    let names: HashMap<&str, &str> =
        report.keys().iter().map(|key| (key.address.as_str(), key.name.as_str())).collect();
    let mut differences = Vec::new();
    for key in report.keys() {
        if sites.remove(key.address.as_str()) != Some(key.sites) {
            differences.push(format!("number of sites: {key:?}"));
        }
        differences.extend(wrong_state(&kernel, key));
        differences.extend(wrong_name(&nm, key));
    }
    let unlisted = sites.keys().map(|address| format!("{address} is not among the keys"));
    differences.extend(unlisted);
    let misnamed =
        report.sites().iter().filter(|site| names.get(site.key.as_str()) != Some(&&*site.key_name));
    differences.extend(misnamed.map(|site| format!("name of the key: {site:?}")));
    demand_none("keys", &differences);
}

fn wrong_state(kernel: &Kernel<'_>, key: &Key) -> Option<String> {
    let at = address(&key.address);
    let state = kernel.key_state(at);
    let initial = if state.initially_true { "true" } else { "false" };
    let consistent = (state.enabled != 0) == state.initially_true;
    let right = key.section.as_deref() == kernel.section_name(at)
        && key.file_backed == state.in_file
        && key.enabled == Some(state.enabled)
        && key.initial.as_deref() == Some(initial)
        && consistent;
    (!right).then(|| format!("{state:?}, jlctl: {key:?}"))
}

/// The name must be that of the innermost object of nm that covers the key.
fn wrong_name(nm: &Nm, key: &Key) -> Option<String> {
    let at = address(&key.address);
    let covering = nm.covering("OBJECT", at);
    let right = match (covering.first(), &key.symbol, key.offset) {
        (None, None, None) => key.name == key.address,
        (Some(innermost), Some(symbol), Some(offset)) => {
            let aliases = covering.iter().filter(|found| found.address == innermost.address);
            // An ambiguous name follows its file, and a path of types follows the name; keys.rs
            // compares these with sizes.
            let name = key.name.rsplit(':').next().unwrap_or_default();
            let rest = name.strip_prefix(symbol.as_str());
            let by_offset = format!("+{offset:#x}");
            let is_place =
                |rest: &str| rest == by_offset || rest.starts_with('.') || rest.starts_with('[');
            let is_named =
                rest.is_some_and(|rest| is_place(rest) || rest.is_empty() && offset == 0);
            aliases.into_iter().any(|alias| alias.name == *symbol)
                && offset == at - innermost.address
                && is_named
        }
        _ => false,
    };
    (!right).then(|| format!("nm: {covering:?}, jlctl: {key:?}"))
}

fn compare_functions(image: Image) {
    let (report, nm) = (report(image), Nm::of(&path(image)));
    let wrong = |site: &&Site| {
        let at = address(&site.code);
        let covering = nm.covering("FUNC", at);
        let right = match (&site.function, site.function_offset) {
            (Some(name), Some(offset)) => {
                let start = at - offset;
                let alias = nm.at(start).iter().any(|symbol| symbol.name == *name);
                alias && covering.first().is_none_or(|innermost| innermost.address == start)
            }
            (None, None) => covering.is_empty(),
            _ => false,
        };
        !right
    };
    let wrong = report.sites().iter().filter(wrong);
    let describe = |site: &Site| {
        format!("nm: {:?}, jlctl: {site:?}", nm.covering("FUNC", address(&site.code)))
    };
    demand_none("functions", &wrong.map(describe).collect::<Vec<_>>());
}

fn compare_disassembly(image: Image) {
    let (report, file) = (report(image), mapped(image));
    let kernel = Kernel::new(file.bytes());
    let words: Vec<u32> =
        report.sites().iter().map(|site| kernel.word(address(&site.code))).collect();
    let mut differences = Vec::new();
    for (site, text) in report.sites().iter().zip(tools::disassemble(&words)) {
        let expected = match text.strip_prefix("b #") {
            None => text,
            Some(displacement) => {
                let displacement: i64 = displacement.parse().expect("a displacement");
                format!("b {:#x}", address(&site.code).wrapping_add_signed(displacement))
            }
        };
        if site.disassembly.as_deref() != Some(&expected) {
            differences.push(format!("LLVM: {expected}, jlctl: {site:?}"));
        }
    }
    demand_none("disassembly", &differences);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn entries_of_5_10_are_those_of_a_second_reader() {
    compare_entries(Image::Vmlinux510);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn entries_of_6_12_are_those_of_a_second_reader() {
    compare_entries(Image::Vmlinux612);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn keys_of_5_10_are_those_of_a_second_reader_and_nm() {
    compare_keys(Image::Vmlinux510);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn keys_of_6_12_are_those_of_a_second_reader_and_nm() {
    compare_keys(Image::Vmlinux612);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn functions_of_5_10_are_those_of_nm() {
    compare_functions(Image::Vmlinux510);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn functions_of_6_12_are_those_of_nm() {
    compare_functions(Image::Vmlinux612);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn disassembly_of_5_10_is_that_of_llvm() {
    compare_disassembly(Image::Vmlinux510);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn disassembly_of_6_12_is_that_of_llvm() {
    compare_disassembly(Image::Vmlinux612);
}
