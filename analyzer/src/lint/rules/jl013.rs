//! JL013: blocking broadcast with interrupts off.

use crate::lint::finding::{Evidence, Finding, Role, WitnessStep};
use crate::lint::interrupts::{BroadcastCall, Interrupts};
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::stopped::{Context, contexts};
use crate::lint::subject::Subject;
use crate::program::FuncId;

pub(in crate::lint) static JL013: RuleDescriptor = RuleDescriptor {
    code: "JL013",
    name: "blocking broadcast with interrupts off",
    level: Level::Error,
    since: "0.1.0",
    summary: "A function makes all other CPUs take an interrupt and waits for them, while \
        interrupts are off or the other CPUs are stopped.",
    description: "The wait may never end. In a callback of `stop_machine` the other CPUs wait for \
        this one with their interrupts off. With interrupts off, two CPUs that broadcast at once \
        wait for each other, and so does a CPU that waits for a lock which the other one holds. \
        An ISB is no remedy: the synchronisation must move out of the section, or the code must \
        need none.",
    algorithm: "The rule looks at kernels and modules. A broadcast is a call of \
        `kick_all_cpus_sync`, of a function that patches and synchronises, of `stop_machine`, or \
        of `smp_call_function`, `on_each_cpu` and their variants with a wait that is not zero. \
        The rule reports a path to a broadcast, through at most four direct calls, that begins in \
        one of these contexts and does not turn interrupts on:\n\n\
        - An `MSR DAIFSet` with the bit I, or a lock function such as `_raw_spin_lock_irqsave`, \
        in the function itself. An `MSR DAIF` restores the state of the `MRS` before it.\n\
        - A callback of `stop_machine`.\n\
        - A callback of `smp_call_function`, `on_each_cpu` and their variants, which run it with \
        interrupts off.\n\
        - A CPU hotplug callback for a state between `CPUHP_AP_OFFLINE` and `CPUHP_AP_ONLINE` \
        (STARTING and DYING), in the table of the kernel or registered with a constant state.\n\n\
        Code that runs only before the other CPUs are started is left out.",
    false_positives: "- A broadcast that the code executes only if interrupts are on, by a \
        condition that the lint does not follow.\n\
        - A callback that is also called directly, with interrupts on, and broadcasts only then.",
    false_negatives: "- Interrupts that are off at every call of a function, by its contract.\n\
        - Interrupts that are masked by priority (pseudo-NMI), and a state that is restored in \
        another function.\n\
        - A call through a pointer, and a path of more than four calls.",
    history: "- f6cc0c501649 (Linux 4.19) replaced `stop_machine` in the static keys of arm64 by a \
        patch without a synchronisation, because a blocking wait deadlocks where keys flip in \
        `stop_machine` and in CPU hotplug, as it did at boot on HiKey 960. That removed the \
        deadlock and the synchronisation (see JL001).\n\
        - riscv, c97bf629963e (Linux 6.9): `patch_text` hung in `stop_machine`.",
    fix: "Broadcast after the section, with interrupts on, or after `stop_machine` has returned.",
};

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>) -> Vec<Finding> {
    if !subject.is_kernel {
        return Vec::new();
    }
    let interrupts = Interrupts::of(subject);
    let contexts = contexts(subject);
    let of_contexts = contexts
        .into_iter()
        .filter_map(|(id, context)| Some((id, context.text(), interrupts.broadcast_below(id)?)));
    let mut found: Vec<(FuncId, &str, BroadcastCall)> = of_contexts.collect();
    let own = interrupts
        .candidates()
        .into_iter()
        .filter_map(|id| Some((id, Context::Section.text(), interrupts.broadcast_in(id)?)));
    found.extend(own);
    found.sort_by_key(|(id, _, call)| (*id, call.at));
    found.dedup_by_key(|(id, ..)| *id);
    let found = found.into_iter().filter(|(id, ..)| !subject.runs_before_smp(*id));
    found.map(|(id, context, call)| finding(subject, &interrupts, (id, context, call))).collect()
}

fn finding(
    subject: &Subject<'_, '_>,
    interrupts: &Interrupts<'_, '_, '_>,
    (id, context, call): (FuncId, &str, BroadcastCall),
) -> Finding {
    let name = subject.name(id);
    let step = |function: FuncId, call: BroadcastCall| WitnessStep {
        role: if call.depth == 0 { Role::Sync } else { Role::Call },
        function: subject.name(function),
        address: call.at,
        callee: Some(subject.name(call.callee)),
        evidence: Some(Evidence::Call),
    };
    let (mut witness, mut last) = (vec![step(id, call)], call);
    while last.depth > 0
        && let Some(next) = interrupts.broadcast_below(last.callee)
        && witness.len() <= usize::from(u8::MAX)
    {
        witness.push(step(last.callee, next));
        last = next;
    }
    let broadcast = subject.name(last.callee);
    let message = format!(
        "{name} waits for all other CPUs ({broadcast}) {context}: a CPU that takes no interrupt \
         never answers, and the wait does not end"
    );
    let finding = Finding::at(subject, &JL013, JL013.level, (id, call.at), &broadcast, message);
    Finding { witness, ..finding }
}
