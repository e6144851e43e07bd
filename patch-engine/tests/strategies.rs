//! The verdict on each strategy with each cache type, and the reductions of the state space, which
//! change no verdict.

use jlctl_patch_engine::simulate::explore::{Bounds, Incomplete};
use jlctl_patch_engine::simulate::machine::{CacheType, Rule, RuleSet};
use jlctl_patch_engine::simulate::strategy::{
    BRANCH, Class, Maintenance, Mark, Reading, Safety, Scheme, Setting, Strategy,
};
use jlctl_shim::insn::aarch64::NOP;
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

fn setting(name: &str, others: usize, pes: usize) -> Setting {
    let strategy = Strategy::named(name).unwrap_or_else(|| panic!("no strategy {name}"));
    Setting { strategy, class: Class::new(NOP, BRANCH, others), pes }
}

fn worst(setting: &Setting) -> Vec<&'static str> {
    let judge = |cache| {
        let judgement = setting.judge(cache, Bounds::default(), &NEVER).expect("so many PEs");
        assert_eq!(judgement.incomplete, None);
        assert_eq!(judgement.safety(Reading::RealTime), judgement.safety(Reading::Causal));
        judgement.worst().name()
    };
    CacheType::ALL.into_iter().map(judge).collect()
}

/// Strategies with their verdicts for DIC=0 IDC=0, DIC=0 IDC=1, DIC=1 IDC=1, derived from the
/// architecture and from Arm's model of instruction fetch.
const TABLE: [(&str, [&str; 3]); 22] = [
    ("nosync+no-maintenance", ["stale", "stale", "stale"]),
    ("nosync", ["stale", "stale", "stale"]),
    ("isb-self", ["stale", "stale", "stale"]),
    ("kick-no-cse", ["stale", "stale", "stale"]),
    ("kick-before", ["stale", "stale", "safe"]),
    ("kick+no-ic", ["stale", "stale", "safe"]),
    ("kick+dmb-for-dsb", ["stale", "stale", "safe"]),
    ("kick+no-dsb-after-ic", ["stale", "stale", "safe"]),
    ("kick+no-maintenance", ["stale", "stale", "safe"]),
    ("kick+no-dc", ["stale", "safe", "safe"]),
    ("kick", ["safe", "safe", "safe"]),
    ("ipi", ["safe", "safe", "safe"]),
    ("ipi+no-ic", ["stale", "stale", "safe"]),
    ("stop-machine", ["safe", "safe", "safe"]),
    ("stop-machine+no-ic", ["stale", "stale", "safe"]),
    ("stop-machine+no-dc", ["stale", "safe", "safe"]),
    ("membarrier-sync-core", ["safe", "safe", "safe"]),
    ("membarrier-sync-core+no-ic", ["stale", "stale", "safe"]),
    ("membarrier-sync-core+no-dsb-after-ic", ["stale", "stale", "safe"]),
    ("signal", ["safe", "safe", "safe"]),
    ("signal+no-ic", ["stale", "stale", "safe"]),
    ("signal+dmb-for-dsb", ["stale", "stale", "safe"]),
];

#[test]
fn every_strategy_has_the_expected_verdicts() {
    for (name, expected) in TABLE {
        for (others, pes) in [(0, 2), (1, 2), (2, 2), (0, 3)] {
            assert_eq!(worst(&setting(name, others, pes)), expected, "{name} {others} {pes}");
        }
    }
}

/// Four PEs, and three PEs with sites that share a line, for the most important strategies; the
/// others are too slow for every run of the tests.
#[test]
fn more_pes_change_no_verdict() {
    for name in ["isb-self", "kick", "kick-before", "stop-machine"] {
        let two = worst(&setting(name, 0, 2));
        assert_eq!(worst(&setting(name, 0, 4)), two, "{name}");
        assert_eq!(worst(&setting(name, 1, 3)), two, "{name}");
    }
}

#[test]
fn both_directions_have_the_same_verdicts() {
    for (name, expected) in TABLE {
        let there = setting(name, 0, 2);
        let back = Setting { class: Class::new(BRANCH, NOP, 0), ..there };
        assert_eq!(worst(&back), expected, "{name}");
    }
}

/// The steps that the reductions omit change no verdict.
#[test]
fn reductions_change_no_verdict() {
    for strategy in Strategy::all() {
        for (others, pes) in [(0, 2), (1, 2), (0, 3)] {
            let setting = Setting { strategy, class: Class::new(NOP, BRANCH, others), pes };
            for cache in CacheType::ALL {
                let reduced = setting.judge(cache, Bounds::default(), &NEVER).expect("2 or 3 PEs");
                let full = setting.judge_unreduced(cache).expect("2 or 3 PEs");
                let verdicts = |judgement: jlctl_patch_engine::simulate::strategy::Judgement| {
                    (judgement.real_time, judgement.causal, judgement.unpredictable.is_some())
                };
                assert_eq!(verdicts(full), verdicts(reduced), "{} {cache:?}", strategy.name());
            }
        }
    }
}

/// The fix depends on every rule, such as the entry to and the return from a handler.
#[test]
fn the_fix_needs_every_rule() {
    for (rule, cache) in [
        (Rule::ExceptionsSynchronise, CacheType::Dic1Idc1),
        (Rule::IcInvalidates, CacheType::Dic0Idc1),
        (Rule::IcReachesAll, CacheType::Dic0Idc1),
        (Rule::DsbAfterIc, CacheType::Dic0Idc1),
        (Rule::DcUnifies, CacheType::Dic0Idc0),
        (Rule::DsbAfterDc, CacheType::Dic0Idc0),
        (Rule::DicFetchesMemory, CacheType::Dic1Idc1),
    ] {
        let judgement = setting("kick", 0, 2)
            .judge_with_rules(cache, RuleSet::all().without(rule))
            .expect("two PEs");
        assert_eq!(judgement.worst(), Safety::Stale, "{rule:?}");
    }
}

/// Instructions that must not be modified during execution are never safe to patch, unless no PE
/// executes them meanwhile.
#[test]
fn other_instructions_are_constrained_unpredictable() {
    let mov = 0x5280_0041; // mov w1, #2
    let class = Class::new(mov, NOP, 0);
    let strategy = Strategy::full(Scheme::Kick);
    for cache in CacheType::ALL {
        let judgement = Setting { strategy, class, pes: 2 }.judge(cache, Bounds::default(), &NEVER);
        let judgement = judgement.expect("two PEs");
        if cache == CacheType::Dic1Idc1 {
            // A fetch returns one of the words, which is unspecified, and thus not safe either.
            assert_ne!(judgement.worst(), Safety::Stale);
        }
        assert_eq!(judgement.worst(), Safety::Unpredictable, "{}", cache.name());
    }
}

#[test]
fn an_exhausted_bound_is_never_safe() {
    let bounds = Bounds { states: 10 };
    let judgement = setting("kick", 0, 2).judge(CacheType::Dic1Idc1, bounds, &NEVER).expect("two");
    assert_eq!(judgement.incomplete, Some(Incomplete::States));
    assert_eq!(judgement.worst(), Safety::Unknown);
    assert!(setting("kick", 0, 1).judge(CacheType::Dic1Idc1, bounds, &NEVER).is_none());
    assert!(setting("kick", 0, 5).judge(CacheType::Dic1Idc1, bounds, &NEVER).is_none());
}

#[test]
fn strategies_have_unique_names() {
    let all: Vec<Strategy> = Strategy::all().collect();
    assert_eq!(all.len(), Scheme::ALL.len() * Maintenance::ALL.len());
    for strategy in all {
        assert_eq!(Strategy::named(&strategy.name()), Some(strategy));
    }
    assert_eq!(Strategy::named("kick+full"), None);
}

/// The shortest stale execution of the defect, step by step.
#[test]
fn a_trace_ends_with_the_stale_word() {
    let defect = setting("isb-self", 0, 2);
    for cache in CacheType::ALL {
        for reading in Reading::ALL {
            let trace = defect.trace(cache, reading, Bounds::default(), &NEVER).expect("a trace");
            let last = trace.steps.last().expect("steps");
            assert_eq!((last.pe, last.mark), (1, Some(Mark::Stale)));
            assert_eq!(last.text, "executes site 0: old NOP");
            let marks = |mark| trace.steps.iter().filter(|step| step.mark == Some(mark)).count();
            assert_eq!((marks(Mark::Returned), marks(Mark::Stale)), (1, 1));
            let has = |text: &str| trace.steps.iter().any(|step| step.text == text);
            assert!(has("STR: site 0 is B now") && has("ISB: fetch queue emptied"));
            assert_eq!(has("reads \"returned\": 1"), reading == Reading::Causal);
        }
    }
    let fix = setting("kick", 0, 2);
    let none = fix.trace(CacheType::Dic0Idc0, Reading::RealTime, Bounds::default(), &NEVER);
    assert_eq!(none, None);
}
