//! The cases of the lint: names, twins, and the properties that each case states.

use jlctl_a64::lint_cases::{FIXED, LintCase, all};
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use std::collections::HashSet;

#[test]
fn every_rule_has_a_finding_and_every_finding_a_sound_twin() {
    let cases = all();
    let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names are told apart");
    let rules: HashSet<&str> =
        cases.iter().flat_map(|case| &case.expected).map(|(rule, ..)| *rule).collect();
    let mut rules: Vec<&str> = rules.into_iter().collect();
    rules.sort_unstable();
    let numbers = (1..=11).chain([13]);
    let all_rules: Vec<String> = numbers.map(|number| format!("JL{number:03}")).collect();
    assert_eq!(rules, all_rules);
    let by_name = |name: &str| cases.iter().find(|case| case.name == name);
    for case in &cases {
        if let Some(buggy) = case.name.strip_suffix(FIXED) {
            let buggy = by_name(buggy).unwrap_or_else(|| panic!("{} has no twin", case.name));
            let differs = buggy.bytes != case.bytes || buggy.kernel != case.kernel;
            assert!(case.is_sound() && differs, "{}", case.name);
        }
        if !case.is_sound() {
            let (rule, level, _) = case.expected[0];
            assert!(["note", "warning", "error"].contains(&level), "{}", case.name);
            assert!(case.name.starts_with(&rule.to_lowercase()), "{}", case.name);
            assert!(by_name(&format!("{}{FIXED}", case.name)).is_some(), "{}", case.name);
        }
    }
}

/// Names of the functions and imports of an image, by its own symbol tables.
fn names(bytes: &[u8]) -> Vec<String> {
    use object::read::elf::ElfFile64;
    use object::{Object, ObjectSymbol};
    let file = ElfFile64::<jlctl_synthetic::elf::Endian>::parse(bytes).expect("a sound image");
    let symbols = file.symbols().chain(file.dynamic_symbols());
    symbols.filter_map(|symbol| Some(symbol.name().ok()?.to_owned())).collect()
}

fn check(case: &LintCase) {
    let image = Image::parse(&case.bytes).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert!(image.faults().is_empty(), "{}: {:?}", case.name, image.faults());
    let is_user = case.name.contains("user")
        || !case.name.contains("module")
            && ["jl003", "jl009", "jl011", "jl007-adrp-add"]
                .iter()
                .any(|p| case.name.starts_with(p));
    assert_eq!(image.is_kernel(), !is_user, "{}", case.name);
    if let Ok(table) = JumpTable::read(&image)
        && !case.name.starts_with("jl010")
    {
        assert_eq!(table.diagnostics().len(), 0, "{}", case.name);
    }
    let mut names = names(&case.bytes);
    if let Some(kernel) = &case.kernel {
        assert!(Image::parse(kernel).expect("a kernel").is_kernel());
        names.extend(self::names(kernel));
    }
    for (rule, _, root) in &case.expected {
        assert!(names.iter().any(|name| name == root), "{}: {rule} in {root}", case.name);
    }
}

#[test]
fn every_case_is_sound_as_an_image_and_has_its_roots() {
    all().iter().for_each(check);
}

/// The environment may name a directory for the images, to inspect them with a disassembler.
#[test]
fn cases_are_reproducible() {
    let cases = all();
    for (first, second) in cases.iter().zip(all()) {
        assert!(first.bytes == second.bytes, "{}", first.name);
    }
    if let Some(folder) = std::env::var_os("JLCTL_LINT_CASES") {
        let folder = std::path::PathBuf::from(folder);
        for case in &cases {
            std::fs::write(folder.join(&case.name), &case.bytes).expect("it is written");
        }
    }
}
