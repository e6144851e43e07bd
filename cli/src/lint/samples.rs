//! Findings and documents for tests.

use super::records::{
    AffectedRecord, AgainstRecord, BaselineRecord, CoverageRecord, FindingAddress, FindingRecord,
    Known, LintDocument, LintedFile, StepRecord, SuppressionRecord,
};
use crate::schema::FrameRecord;
use jlctl_analyzer::lint::{Evidence, Level, Role};

/// A finding of JL001 in `function` of the file `file`, with no other fields set.
pub(crate) fn finding(file: &str, function: &str) -> FindingRecord {
    FindingRecord {
        rule: "JL001",
        level: Level::Error,
        file: file.to_owned(),
        file_index: 0,
        function: Some(function.to_owned()),
        address: None,
        source: None,
        message: format!("{function} patches code and returns without a synchronisation."),
        witness: Vec::new(),
        confidence: None,
        affected: AffectedRecord::default(),
        tolerated: None,
        why: None,
        fingerprint: format!("JL001:{function}"),
        suppressed: None,
        reason: None,
        baseline: None,
        against: None,
    }
}

fn finding_address(address: u64) -> FindingAddress {
    FindingAddress {
        text: format!("{address:#x}"),
        stated: Some(address),
        section: Some((".text".to_owned(), address & 0xff_ffff)),
    }
}

fn source(file: &str, line: u32) -> FrameRecord<'static> {
    let function = Some("inlined".into());
    FrameRecord { function, file: Some(file.to_owned().into()), line: Some(line), column: Some(2) }
}

fn step(role: Role, function: &str, address: u64, line: u32) -> StepRecord {
    StepRecord {
        function: function.to_owned(),
        address: finding_address(address),
        role,
        callee: None,
        evidence: None,
        source: (line > 0).then(|| source("/build/linux/kernel/jump_label.c", line)),
    }
}

/// The defect of arm64 static keys before Linux 6.11, as a finding.
fn defect() -> FindingRecord {
    let mut finding = finding("vmlinux", "arch_jump_label_transform");
    finding.address = Some(finding_address(0xffff_8000_1002_2f40));
    finding.source = Some(source("/build/linux/arch/arm64/kernel/jump_label.c", 27));
    finding.message = "arch_jump_label_transform patches existing code by \
        aarch64_insn_patch_text_nosync and returns without a synchronisation of the other CPUs, \
        and so do all its callers up to static_key_slow_inc."
        .to_owned();
    let entry = step(Role::Entry, "static_key_slow_inc", 0xffff_8000_101d_2c40, 167);
    let call = step(Role::Call, "__jump_label_update.part.0", 0xffff_8000_101d_2a10, 0);
    let patch = step(Role::Patch, "arch_jump_label_transform", 0xffff_8000_1002_2f6c, 27);
    let exit = step(Role::Exit, "static_key_slow_inc", 0xffff_8000_101d_2c7c, 173);
    let callee = Some("aarch64_insn_patch_text_nosync".to_owned());
    finding.witness = vec![
        StepRecord { evidence: Some(Evidence::Call), ..entry },
        StepRecord { evidence: Some(Evidence::TailCall), ..call },
        StepRecord { callee, evidence: Some(Evidence::Call), ..patch },
        exit,
    ];
    finding.confidence = Some(Evidence::TailCall);
    finding.affected = AffectedRecord {
        functions: 441,
        exported: 77,
        system_calls: 7,
        best_known: ["__arm64_sys_bpf", "__arm64_sys_perf_event_open", "static_key_slow_inc"]
            .map(str::to_owned)
            .to_vec(),
    };
    finding
}

/// A report on four files with a finding of every kind.
pub(crate) fn document() -> LintDocument {
    let mut tolerated = finding("vmlinux", "bpf_arch_text_poke");
    tolerated.level = Level::Note;
    tolerated.tolerated = Some("a CPU may execute either instruction meanwhile (comment)".into());
    let mut unsure = finding("lib/odd name.ko", "odd_patch");
    unsure.rule = "JL005";
    unsure.level = Level::Warning;
    unsure.file_index = 1;
    unsure.address = Some(FindingAddress {
        text: ".text+0x40".to_owned(),
        stated: None,
        section: Some((".text".to_owned(), 0x40)),
    });
    let evidence = Some(Evidence::Unresolved);
    unsure.witness = vec![StepRecord { evidence, ..step(Role::Entry, "odd_entry", 0x4_0040, 0) }];
    unsure.confidence = evidence;
    let coverage = |undecoded, unresolved_calls, caps: &[&str]| {
        let caps = caps.iter().map(|cap| (*cap).to_owned()).collect();
        Some(CoverageRecord {
            undecoded,
            unresolved_calls,
            resolved_jumps: 253,
            guessed_jumps: 1,
            unresolved_jumps: 7,
            caps,
        })
    };
    let file = |path: &str| LintedFile {
        arch: Some("arm64"),
        error: None,
        applicable: Some(true),
        functions: Some(40_304),
        instructions: Some(2_752_333),
        patchers: Some(9),
        syncs: Some(1),
        coverage: coverage(177, 3_211, &[]),
        ..LintedFile::failed(path.to_owned(), String::new())
    };
    let capped = LintedFile {
        coverage: coverage(0, 1, &["summaries: 1,000,000 steps"]),
        model_warnings: vec!["kick_foo is said to synchronise and reaches no interrupt".into()],
        ..file("lib/odd name.ko")
    };
    let nothing = LintedFile {
        applicable: Some(false),
        patchers: Some(0),
        syncs: Some(0),
        ..file("libruby.so.3.1")
    };
    LintDocument {
        files: vec![
            LintedFile { build_id: Some("00112233".to_owned()), ..file("vmlinux") },
            capped,
            nothing,
            LintedFile::failed("gone".to_owned(), "gone: No such file or directory".to_owned()),
        ],
        findings: vec![defect(), tolerated, unsure],
        fail_on: Level::Error,
        baseline: None,
        unused_suppressions: Vec::new(),
        against: None,
        passed: 2,
    }
}

/// A finding of a baseline.
pub(crate) fn known(function: &str) -> Known {
    Known {
        file: "vmlinux".to_owned(),
        rule: "JL001".to_owned(),
        level: "error".to_owned(),
        function: Some(function.to_owned()),
        fingerprint: format!("JL001:{function}"),
    }
}

/// A baseline without the findings `absent`.
pub(crate) fn baseline(absent: Vec<Known>) -> BaselineRecord {
    BaselineRecord { path: "lint-baseline.json".to_owned(), absent }
}

/// A suppression that matches no finding.
pub(crate) fn unused() -> SuppressionRecord {
    SuppressionRecord {
        rule: None,
        text: "function = \"no_such_*\"".to_owned(),
        reason: "it was there once".to_owned(),
    }
}

/// Another build, the only one that has the findings `gained`.
pub(crate) fn against(gained: Vec<FindingRecord>) -> AgainstRecord {
    AgainstRecord { files: document().files.into_iter().take(1).collect(), gained }
}
