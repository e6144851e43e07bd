//! Verdicts on plans.

use jlctl_analyzer::addr::Svma;
use jlctl_patch_engine::plan_file::{self, PlanAddress, PlanDocument};
use jlctl_patch_engine::simulate::explore::Bounds;
use jlctl_patch_engine::simulate::machine::CacheType;
use jlctl_patch_engine::simulate::plan::{
    Basis, NotSimulated, classes, default_strategy, judge, ops,
};
use jlctl_patch_engine::simulate::strategy::{Safety, Scheme, Strategy};
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

fn demo() -> PlanDocument {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/expect/plan.json");
    plan_file::read(&std::fs::read(path).expect("the file is there")).expect("the file is a plan")
}

/// A plan has the same verdict whether it is checked op by op or by classes.
#[test]
fn classes_have_the_verdicts_of_their_ops() {
    let document = demo();
    let (classes, ops) = (classes(&document).expect("arm64"), ops(&document).expect("arm64"));
    assert!(classes.len() < ops.len(), "{} of {}", classes.len(), ops.len());
    assert_eq!(classes.iter().map(|class| class.ops).sum::<usize>(), document.ops.len());
    for name in ["isb-self", "kick", "kick-before", "kick+no-ic", "kick+no-dc", "ipi"] {
        let strategy = Strategy::named(name).expect("the strategy exists");
        for cache in CacheType::ALL {
            let of = |all| judge(all, strategy, 2, cache, Bounds::default(), &NEVER).expect("two");
            let (by_class, by_op) = (of(&classes).judgement, of(&ops).judgement);
            assert_eq!(
                (by_class.real_time, by_class.causal, by_class.unpredictable),
                (by_op.real_time, by_op.causal, by_op.unpredictable),
                "{name} {}",
                cache.name()
            );
        }
    }
}

#[test]
fn an_empty_plan_is_safe_and_other_architectures_are_refused() {
    let mut document = demo();
    document.ops.clear();
    let none = classes(&document).expect("arm64");
    let kick = Strategy::full(Scheme::Kick);
    let judged = judge(&none, kick, 3, CacheType::Dic0Idc0, Bounds::default(), &NEVER);
    assert_eq!(judged.map(|judged| judged.judgement.worst()), Some(Safety::Safe));
    assert_eq!(default_strategy(&document, []), Ok((kick, Basis::Plan)));
    for arch in ["x86_64", "riscv64"] {
        document.arch = arch.to_owned();
        assert_eq!(classes(&document), Err(NotSimulated::Architecture(arch.to_owned())));
    }
}

/// The code decides, not the names of functions, which both kernels share.
#[test]
fn the_strategy_of_a_kernel_is_derived_from_its_code() {
    use jlctl_analyzer::image::Image;
    let cases = jlctl_a64::lint_cases::all();
    let document = demo();
    for (name, scheme, basis) in [
        ("jl001-transform", Scheme::IsbSelf, Basis::LintUnsynchronised),
        ("jl001-transform-fixed", Scheme::Kick, Basis::LintSynchronised),
    ] {
        let case = cases.iter().find(|case| case.name == name).expect("the case");
        let image = Image::parse(&case.bytes).expect("an image");
        let found = default_strategy(&document, [&image]).expect("a strategy");
        assert_eq!(found, (Strategy::full(scheme), basis), "{name}");
    }
}

/// The plan of the demo image, with the value at `pointer` replaced.
fn with(pointer: &str, value: &str) -> Result<PlanDocument, plan_file::PlanFileError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/expect/plan.json");
    let bytes = std::fs::read(path).expect("it is there");
    let mut json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    *json.pointer_mut(pointer).expect("a field") = value.into();
    plan_file::read(&serde_json::to_vec(&json).expect("JSON"))
}

#[test]
fn a_malformed_address_is_reported_with_its_field_when_the_plan_is_read() {
    let fields = [
        ("/keys/1/address", "keys[1].address"),
        ("/ops/2/address", "ops[2].address"),
        ("/ops/2/target", "ops[2].target"),
        ("/key_writes/0/address", "key_writes[0].address"),
    ];
    for (pointer, field) in fields {
        for value in ["", "0x", "0xffff80001000zz", "4096", "0xFFFF", "0x10000000000000000"] {
            let error = with(pointer, value).expect_err(value).to_string();
            assert!(error.contains(&format!("in {field} ")), "{field}: {error}");
            assert!(error.contains(&format!("{value:?}")), "{value}: {error}");
        }
        // The image is no relocatable file.
        for value in [".text+0x10", "ffff800010000000", "key"] {
            let error = with(pointer, value).expect_err(value).to_string();
            assert!(error.starts_with(&format!("{field}: expected an address 0x…")), "{error}");
            assert!(error.contains(&format!("{value:?}")), "{value}: {error}");
        }
        with(pointer, "0x1000").expect("an address");
    }
}

#[test]
fn a_checksum_of_another_length_is_reported_when_the_plan_is_read() {
    for (pointer, field, length) in
        [("/images/0/sha256", "images[0].sha256", 32), ("/images/0/xxh3", "images[0].xxh3", 16)]
    {
        for found in [0, length - 1, length + 1] {
            let error = with(pointer, &"ab".repeat(found)).expect_err(field).to_string();
            assert!(error.contains(&format!("in {field} ")), "{error}");
            assert!(error.contains(&format!("expected {length} bytes, found {found}")), "{error}");
        }
        with(pointer, &"ab".repeat(length)).expect("a checksum");
    }
}

/// Lines are those of the addresses, in a relocatable file of the sections; a file offset says
/// nothing of them.
#[test]
fn ops_share_a_line_by_their_addresses() {
    let others = |first: PlanAddress, second: PlanAddress| {
        let mut document = demo();
        document.ops.truncate(2);
        for (op, address) in document.ops.iter_mut().zip([first, second]) {
            (op.address, op.batch, op.file_offset) = (address, 0, 64);
        }
        ops(&document).expect("arm64")[0].class.others
    };
    let stated = |address| PlanAddress::Stated(Svma(address));
    let relative = |base: &str, offset| PlanAddress::Relative { base: base.to_owned(), offset };
    assert_eq!(others(stated(0x100), stated(0x13c)), 1);
    assert_eq!(others(stated(0x100), stated(0x140)), 0);
    assert_eq!(others(relative(".text", Some(0)), relative(".text", Some(60))), 1);
    assert_eq!(others(relative(".text", Some(0)), relative(".text", Some(64))), 0);
    assert_eq!(others(relative(".text", Some(0)), relative(".exit.text", Some(0))), 0);
    assert_eq!(others(relative("f", None), relative("f", Some(4))), 1);
    assert_eq!(others(relative("f", None), relative("g", None)), 0);
}
