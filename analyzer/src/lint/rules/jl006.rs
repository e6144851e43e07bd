//! JL006: stop_machine callback without ISB.

use crate::lint::finding::{Evidence, Finding, Role, WitnessStep};
use crate::lint::model::{FunctionRole, level_of};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::lint::syncs::{StopWithoutIsb, Syncs};

pub(in crate::lint) static JL006: RuleDescriptor = RuleDescriptor {
    code: "JL006",
    name: "stop_machine callback without ISB",
    level: Level::Error,
    since: "0.1.0",
    summary: "A callback of stop_machine patches instructions, and no CPU executes an ISB before \
        it continues.",
    description: "One CPU patches while all others wait. The waiting CPUs continue without a \
        context synchronising event: `multi_cpu_stop()` has no ISB of its own, and to wait in a \
        loop is no such event.",
    algorithm: "The rule takes calls of `stop_machine` and its variants whose callback is a \
        constant. It reports a callback that reaches a patching or cache-maintaining primitive \
        within three calls, and that does not reach an ISB. It also reports such a callback that \
        does reach an ISB if the argument for the CPUs is a null pointer: then only the first \
        CPU runs the callback, and all others wait. The ISB inside a patching or \
        cache-maintaining primitive does not count.",
    false_positives: "A callback that patches code which no other CPU executes.",
    false_negatives: "- A callback that is not a constant where `stop_machine` is called.\n\
        - A mask that is not a constant there, and does not have all CPUs.",
    history: "`aarch64_insn_patch_text_cb` and `__apply_alternatives_multi_stop` of Linux have \
        the ISB on the path of the waiting CPUs.",
    fix: "Pass `cpu_online_mask`, and execute `isb()` on the CPUs that waited, before the callback \
        returns.",
};

pub(in crate::lint) fn findings(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    deadlocks: &[Finding],
) -> Vec<Finding> {
    let is_source = |role| matches!(role, FunctionRole::Patches | FunctionRole::Maintains);
    let patch = |callback| {
        let functions = subject.callees(callback, 3);
        functions.into_iter().find(|id| subject.role(*id).is_some_and(is_source))
    };
    syncs
        .without_isb
        .iter()
        // A callback that deadlocks needs another repair than an ISB.
        .filter(|stop| {
            let name = Some(subject.name(stop.callback));
            !deadlocks.iter().any(|found| found.function == name)
        })
        .filter_map(|stop| Some((*stop, patch(stop.callback)?)))
        .map(|(StopWithoutIsb { caller, at, callback, is_on_one_cpu }, patch)| {
            let (name, source) = (subject.name(callback), subject.name(patch));
            let but = match is_on_one_cpu {
                true => {
                    "only one of them runs it (a null pointer for the CPUs): the others execute \
                     no ISB before they continue"
                }
                false => "none of them executes an ISB before it continues",
            };
            let message =
                format!("{name} patches ({source}) while all CPUs are stopped, and {but}");
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
