//! Functions that the kernel calls with interrupts off: callbacks of stop_machine(), of
//! interrupts between CPUs, and of CPU hotplug.

use super::hotplug_states::callbacks;
use super::model::FunctionRole;
use super::subject::Subject;
use crate::program::FuncId;

/// The context in which interrupts are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// The function turns them off itself.
    Section,
    /// A callback of stop_machine().
    Stopped,
    /// A callback of smp_call_function() and others.
    Interrupt,
    /// A hotplug callback of a state between CPUHP_AP_OFFLINE and CPUHP_AP_ONLINE.
    Hotplug,
}

impl Context {
    /// The context in a message.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Section => "with interrupts off",
            Self::Stopped => "inside a callback of stop_machine, while the others are stopped",
            Self::Interrupt => "in the handler of an interrupt between CPUs, with interrupts off",
            Self::Hotplug => "in a hotplug callback that runs with interrupts off",
        }
    }
}

/// The functions that are called with interrupts off, each with the context.
pub(super) fn contexts(subject: &Subject<'_, '_>) -> Vec<(FuncId, Context)> {
    let program = &subject.program;
    let mut found = Vec::new();
    for callee in program.ids() {
        let (number, context) = match subject.role(callee) {
            Some(FunctionRole::SyncsIfCallbackIsbs { callback, .. }) => {
                (callback, Context::Stopped)
            }
            // smp_call_function(func, info, wait) and others: the function is two before the wait.
            Some(FunctionRole::SyncsIfArgument(wait @ 2..)) => (wait - 2, Context::Interrupt),
            _ => continue,
        };
        for call in program.callers(callee) {
            let callback = subject.function_argument(call.caller, call.at, number);
            found.extend(callback.map(|callback| (callback, context)));
        }
    }
    let starting = subject.starting_states();
    if starting.is_empty() {
        return found;
    }
    found.extend(
        callbacks(subject.image, &starting)
            .into_iter()
            .filter_map(|at| Some((program.starting_at(at)?, Context::Hotplug))),
    );
    let names = ["__cpuhp_setup_state", "__cpuhp_setup_state_cpuslocked"];
    let registers = program.ids().filter(|id| names.contains(&&*subject.name(*id)));
    for call in registers.flat_map(|id| program.callers(id)) {
        let state = subject.argument(call.caller, call.at, 0);
        if state.is_some_and(|state| starting.contains(&(state & 0xffff_ffff))) {
            // (state, name, invoke, startup, teardown, multi_instance): kernel/cpu.c, Linux 6.12.
            let callbacks =
                [3, 4].map(|number| subject.function_argument(call.caller, call.at, number));
            found.extend(callbacks.into_iter().flatten().map(|id| (id, Context::Hotplug)));
        }
    }
    found
}
