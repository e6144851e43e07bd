//! The lint on real kernels: it reports the defect where it exists, and nothing elsewhere.

use crate::real::mapped;
use crate::real::tools::Nm;
use crate::{self as corpus, Binary};
use jlctl_analyzer::image::container::Limits;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::JumpTable;
use jlctl_analyzer::lint::{
    Config, Finding, KernelSummary, Level, LintReport, Role, lint, lint_in,
};
use std::path::{Path, PathBuf};

#[path = "../../../../analyzer/tests/invariants/witness.rs"]
mod witness;

use witness::Replay;

fn report(image: corpus::Image) -> (LintReport, KernelSummary) {
    let file = mapped(image);
    let image = Image::parse(file.bytes()).expect("a kernel");
    let table = JumpTable::read(&image).expect("a jump table");
    lint_in(&image, Some(&table), &Config::default(), None)
}

fn errors(report: &LintReport) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.level == Level::Error).collect()
}

/// Within a tenth of the number that manual disassembly gave.
fn is_near(found: usize, expected: usize) -> bool {
    found.abs_diff(expected) * 10 <= expected
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_defect_of_5_10_is_one_error() {
    let (report, summary) = report(corpus::Image::Vmlinux510);
    let [error] = errors(&report)[..] else { panic!("{:?}", errors(&report)) };
    assert_eq!(
        (error.rule, error.function.as_deref()),
        ("JL001", Some("arch_jump_label_transform"))
    );
    assert!(is_near(error.affected.functions, 441), "{}", error.affected.functions);
    assert!(is_near(error.affected.exported, 77), "{}", error.affected.exported);
    let roles: Vec<Role> = error.witness.iter().map(|step| step.role).collect();
    assert_eq!((roles.first(), roles.last()), (Some(&Role::Entry), Some(&Role::Exit)));
    let entry = &error.witness[0].function;
    assert!(summary.pending.contains_key(entry), "{entry} is exported");
    assert_eq!(summary.pending["static_key_enable"], "arch_jump_label_transform");
    assert!(summary.syncs.contains("kick_all_cpus_sync"));
    let states = &summary.starting_states;
    assert!(states.end > states.start + 10, "{states:?}");
    // No finding is a warning; code that upstream tolerates is a note with the reason.
    assert!(report.findings.iter().all(|finding| finding.level != Level::Warning));
    for name in ["ftrace_make_call", "ftrace_make_nop", "swsusp_arch_resume", "compat_arm_syscall"]
    {
        let of_name = |finding: &&Finding| finding.function.as_deref() == Some(name);
        let finding = report.findings.iter().find(of_name).unwrap_or_else(|| panic!("{name}"));
        assert!(finding.tolerated.is_some(), "{name}");
    }
    assert_eq!(report.model_warnings, [] as [&str; 0]);
    assert_eq!(report.coverage.caps, [] as [&str; 0]);
    // The words that no decoder knows are data and SVE.
    assert!(report.coverage.undecoded < 400, "{}", report.coverage.undecoded);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn in_6_12_nothing_is_worse_than_a_note() {
    let (report, summary) = report(corpus::Image::Vmlinux612);
    let severe: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.level != Level::Note).collect();
    assert!(severe.is_empty(), "{severe:?}");
    assert!(report.is_applicable && report.coverage.syncs > 10);
    assert_eq!(summary.pending.len(), 0);
    let states = &summary.starting_states;
    assert!(states.end > states.start + 10, "{states:?}");
}

/// Every function that nm lists is recovered.
#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn functions_are_those_of_nm() {
    for image in [corpus::Image::Vmlinux510, corpus::Image::Vmlinux612] {
        let file = mapped(image);
        let parsed = Image::parse(file.bytes()).expect("a kernel");
        let program = jlctl_analyzer::program::RecoveredProgram::recover(&parsed, None);
        let lost: Vec<u64> = Nm::of(&crate::real::path(image))
            .starts("FUNC")
            .into_iter()
            .filter(|start| {
                let at = jlctl_analyzer::addr::Svma(*start);
                program.function_at(at).is_some() && program.starting_at(at).is_none()
            })
            .collect();
        assert!(lost.is_empty(), "{image:?}: {lost:x?}");
    }
}

fn modules(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            modules(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            found.push(path);
        }
    }
}

/// Modules that call a kernel with the defect have the defect too; without the kernel they
/// cannot be judged.
#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn modules_inherit_the_kernels_defect() {
    let (_, summary) = report(corpus::Image::Vmlinux510);
    let mut paths = Vec::new();
    modules(&crate::real::path(corpus::Image::Modules510), &mut paths);
    let (mut inherited, mut own) = (0, Vec::new());
    for path in paths {
        let file = ImageFile::open(&path, Limits::default()).expect("a module");
        let image = Image::parse(file.bytes()).expect("a module");
        let table = JumpTable::read(&image).ok();
        let (report, _) = lint_in(&image, table.as_ref(), &Config::default(), Some(&summary));
        let is_inherited = |finding: &&Finding| finding.message.contains("of the kernel");
        inherited += report.findings.iter().filter(is_inherited).count();
        let others = report.findings.into_iter().filter(|finding| !is_inherited(&finding));
        own.extend(others.filter(|finding| finding.level != Level::Note));
        let alone = lint(&image, table.as_ref(), &Config::default());
        assert!(errors(&alone).is_empty(), "{}: {:?}", path.display(), errors(&alone));
    }
    assert!(inherited > 10, "{inherited}");
    assert!(own.is_empty(), "{own:?}");
}

/// The steps of all findings, each of which follows the one before on the control flow.
fn replayed(image: &Image<'_>, table: Option<&JumpTable<'_>>, report: &LintReport) -> usize {
    let replay = Replay::new(image, table);
    let faults: Vec<String> =
        report.findings.iter().filter_map(|finding| replay.fault(finding)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    report.findings.iter().map(|finding| finding.witness.len()).sum()
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn witnesses_are_paths() {
    for kernel in [corpus::Image::Vmlinux510, corpus::Image::Vmlinux612] {
        let file = mapped(kernel);
        let image = Image::parse(file.bytes()).expect("a kernel");
        let table = JumpTable::read(&image).expect("a jump table");
        let report = lint(&image, Some(&table), &Config::default());
        let steps = replayed(&image, Some(&table), &report);
        assert!(steps > 20, "{steps}");
    }
    let mut steps = 0;
    for binary in Binary::ALL {
        let file = opened(binary);
        let image = Image::parse(file.bytes()).expect("a program");
        steps += replayed(&image, None, &lint(&image, None, &Config::default()));
    }
    assert!(steps > 50, "{steps}");
}

fn opened(binary: Binary) -> ImageFile {
    let path = corpus::binary_path(binary)
        .unwrap_or_else(|| panic!("{} is not in the cache: fetch first", binary.name()));
    ImageFile::open(&path, Limits::default()).expect("a program")
}

fn report_of(binary: Binary) -> LintReport {
    let file = opened(binary);
    let image = Image::parse(file.bytes()).expect("a program");
    lint(&image, None, &Config::default())
}

/// A JIT that writes fresh code gets a note; a program that synchronises is recognised; a
/// program that writes no code is not judged.
#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn programs_are_judged_by_what_they_do() {
    for binary in Binary::ALL {
        let report = report_of(binary);
        let found: Vec<(&str, Level)> =
            report.findings.iter().map(|finding| (finding.rule, finding.level)).collect();
        match binary {
            Binary::Qemu => {
                let name = |finding: &Finding| finding.function.clone().unwrap_or_default();
                let jl007: Vec<String> = report
                    .findings
                    .iter()
                    .filter(|finding| finding.rule == "JL007")
                    .map(name)
                    .collect();
                assert_eq!(jl007, ["tb_target_set_jmp_target"]);
            }
            Binary::Ruby => assert!(!report.is_applicable && found.is_empty(), "{found:?}"),
            Binary::Gcc => assert!(report.is_applicable && found.is_empty(), "{found:?}"),
            _ => {
                assert!(report.is_applicable, "{binary:?}");
                assert!(found.iter().all(|(_, level)| *level == Level::Note), "{found:?}");
            }
        }
        assert_eq!(report.coverage.syncs > 0, binary == Binary::Mozjs, "{binary:?}");
    }
}

/// All functions of stripped libraries that unwind tables list are found, and more.
#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn functions_of_stripped_programs_are_found() {
    for binary in Binary::ALL {
        let path = corpus::binary_path(binary).expect("fetched");
        let file = ImageFile::open(&path, Limits::default()).expect("a program");
        let image = Image::parse(file.bytes()).expect("a program");
        let program = jlctl_analyzer::program::RecoveredProgram::recover(&image, None);
        let unwind = jlctl_analyzer::debug_info::unwind_ranges(&image);
        assert!(unwind.len() > 20, "{binary:?}: {}", unwind.len());
        let lost: Vec<_> =
            unwind.iter().filter(|range| program.starting_at(range.start()).is_none()).collect();
        assert!(lost.is_empty(), "{binary:?}: {lost:?}");
        let found = program.functions().len();
        assert!(found >= unwind.len(), "{binary:?}: {found} of {}", unwind.len());
    }
}
