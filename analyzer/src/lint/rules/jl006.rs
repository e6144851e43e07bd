//! JL006 stop_machine callback without ISB.
//!
//! # Algorithm
//! Calls of stop_machine whose callback is a constant that comes, a few calls deep, to a
//! patching primitive and to no ISB.
//!
//! # False positives
//! A callback that patches what no other CPU executes.
//!
//! # False negatives
//! Callbacks that are no constants.

use crate::lint::finding::{Evidence, Finding, Role, WitnessStep};
use crate::lint::model::{FunctionRole, level_of};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::lint::syncs::Syncs;

pub(in crate::lint) static JL006: RuleDescriptor = RuleDescriptor {
    code: "JL006",
    title: "stop_machine callback without ISB",
    level: Level::Error,
    finds: "All CPUs are stopped while one patches, and go on without a context synchronising \
        event: multi_cpu_stop() has no ISB of its own, and waiting in a loop is none.",
    how: "The callback in x0 of stop_machine and its kin is followed a few calls deep: it comes to \
        a patching primitive, and to no ISB.",
    false_positives: "Callbacks that patch what no other CPU executes.",
    false_negatives: "Callbacks that are no constants where stop_machine is called.",
    history: "aarch64_insn_patch_text_cb and __apply_alternatives_multi_stop of Linux have the ISB \
        in the branch of the waiting CPUs.",
    fix: "Execute isb() on the CPUs that waited, before the callback returns.",
};

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>, syncs: &Syncs) -> Vec<Finding> {
    let is_source = |role| matches!(role, FunctionRole::Patches | FunctionRole::Maintains);
    let patch = |callback| {
        let functions = subject.callees(callback, 3);
        functions.into_iter().find(|id| subject.role(*id).is_some_and(is_source))
    };
    syncs
        .without_isb
        .iter()
        .filter_map(|(caller, at, callback)| Some((*caller, *at, *callback, patch(*callback)?)))
        .map(|(caller, at, callback, patch)| {
            let (name, source) = (subject.name(callback), subject.name(patch));
            let message = format!(
                "{name} patches ({source}) while all CPUs are stopped for it, and none of them \
                 executes an ISB before it goes on"
            );
            let step =
                |role, function: &str, address, callee: Option<&str>, evidence| WitnessStep {
                    role,
                    function: function.to_owned(),
                    address,
                    callee: callee.map(str::to_owned),
                    evidence,
                };
            let start = subject.program.function(callback).range.start();
            let witness = vec![
                step(Role::Call, &subject.name(caller), at, Some(&name), Some(Evidence::Argument)),
                step(Role::Patch, &name, start, Some(&source), Some(Evidence::Call)),
            ];
            let known = subject.known(callback);
            let tolerated = known.filter(|known| known.role == FunctionRole::Tolerated);
            let level = level_of(tolerated.is_some(), JL006.level);
            let finding = Finding::at(subject, &JL006, level, (callback, start), "", message);
            let tolerated = tolerated.and_then(|known| known.reason.clone());
            Finding { witness, tolerated, ..finding }
        })
        .collect()
}
