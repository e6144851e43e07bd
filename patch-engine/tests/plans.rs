//! Verdicts on plans.

use jlctl_patch_engine::plan_file::{self, PlanDocument};
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
