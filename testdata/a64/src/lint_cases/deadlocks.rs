//! JL013: broadcasts that wait where interrupts are off.

use super::case::{Expected, LintCase, pair};
use super::primitives::{NOP, demo, entries, kernel, kick, patch};
use crate::code::asm::{
    address, bl, cbz, enter, isb, label, leave_ret, load, mov, nop, ret, w, word, x,
};
use crate::code::{Code, Function, Object, ObjectSection, Program, code};

const DEADLOCK: Expected = ("JL013", "error", "demo_patch");

/// `mrs x20, daif` and `msr daifset, #2`.
fn save_and_disable() -> Code {
    code([word(0xd53b_4234), word(0xd503_42df)])
}

/// `msr daif, x20`.
fn restore() -> Code {
    word(0xd51b_4234)
}

/// `msr daifclr, #2`.
fn enable() -> Code {
    word(0xd503_42ff)
}

fn bodies<const N: usize, const M: usize>(
    name: &str,
    trap: &'static str,
    buggy: [Code; N],
    fixed: [Code; M],
) -> [LintCase; 2] {
    pair(name, trap, DEADLOCK, &demo(buggy), &demo(fixed))
}

fn sections() -> Vec<LintCase> {
    let one_path = |inside: Code, behind: Code| {
        let begin = [enter(), mov(x(19), x(0)), save_and_disable(), patch(), cbz(x(19), "out")];
        [code(begin), inside, label("out"), restore(), behind, leave_ret()]
    };
    let locked = |inside: Code, behind: Code| {
        let lock = |name| code([address(x(0), "demo_state"), bl(name)]);
        let body = [
            enter(),
            lock("_raw_spin_lock_irqsave"),
            patch(),
            inside,
            lock("_raw_spin_unlock_irqrestore"),
            behind,
            leave_ret(),
        ];
        demo(body).functions([
            Function::new("_raw_spin_lock_irqsave", [word(0xd53b_4220), ret()]).in_file("lock.c"),
            Function::new("_raw_spin_unlock_irqrestore", [ret()]).in_file("lock.c"),
        ])
    };
    let callee = |begin: Code| {
        let sync = [enter(), begin, kick(), leave_ret()];
        let body = [enter(), save_and_disable(), patch(), bl("demo_sync"), restore(), leave_ret()];
        demo(body).functions([Function::new("demo_sync", sync).local()])
    };
    let wait = |wait| {
        let arguments = [address(x(0), "smp.c:do_nothing"), load(x(1), 0), load(w(2), wait)];
        code([code(arguments), bl("smp_call_function")])
    };
    [
        bodies(
            "jl013-interrupts-off",
            "the CPU that waits takes no interrupt, so that two of them wait for each other",
            [enter(), save_and_disable(), patch(), kick(), restore(), leave_ret()],
            [enter(), save_and_disable(), patch(), restore(), kick(), leave_ret()],
        ),
        bodies(
            "jl013-one-path",
            "the broadcast is on one of two paths",
            one_path(kick(), kick()),
            one_path(nop(), kick()),
        ),
        bodies(
            "jl013-no-wait",
            "a broadcast that does not wait is allowed, and no synchronisation",
            [enter(), save_and_disable(), patch(), wait(1), restore(), kick(), leave_ret()],
            [enter(), save_and_disable(), patch(), wait(0), restore(), kick(), leave_ret()],
        ),
        pair(
            "jl013-lock",
            "a lock function turns interrupts off",
            DEADLOCK,
            &locked(kick(), nop()),
            &locked(nop(), kick()),
        ),
        pair(
            "jl013-callee",
            "the broadcast is in a function that is called with interrupts off",
            DEADLOCK,
            &callee(nop()),
            &callee(enable()),
        ),
    ]
    .concat()
}

/// A callback of `stop_machine()` that patches.
fn stopped(body: impl IntoIterator<Item = Code>) -> Program {
    let stop = [
        enter(),
        address(x(0), "demo_patch_cb"),
        load(x(1), 0),
        address(x(2), "__cpu_online_mask"),
        bl("stop_machine"),
        leave_ret(),
    ];
    let functions =
        [Function::new("demo_patch_cb", body).local(), Function::new("demo_stop", stop).exported()];
    kernel(functions)
}

fn callbacks() -> Vec<LintCase> {
    let expected: Expected = ("JL013", "error", "demo_patch_cb");
    let end = || code([load(w(0), 0), leave_ret()]);
    let below = |sync| {
        let sync = Function::new("demo_sync", [enter(), sync, leave_ret()]).local();
        stopped([enter(), patch(), bl("demo_sync"), isb(), end()]).functions([sync])
    };
    let handler = |sync: Code| {
        let call = [
            enter(),
            address(x(0), "demo_handler"),
            load(x(1), 0),
            load(w(2), 1),
            bl("smp_call_function"),
            leave_ret(),
        ];
        kernel([
            Function::new("demo_handler", [enter(), sync, leave_ret()]).local(),
            Function::new("demo_call", call).exported(),
        ])
    };
    [
        pair(
            "jl013-stop-machine",
            "the other CPUs wait with interrupts off: an ISB is needed in place of the broadcast",
            expected,
            &stopped([enter(), patch(), kick(), end()]),
            &stopped([enter(), patch(), isb(), end()]),
        ),
        pair(
            "jl013-stop-machine-callee",
            "the same in a function below the callback, beside an ISB",
            expected,
            &below(kick()),
            &below(nop()),
        ),
        pair(
            "jl013-handler",
            "a function that all CPUs run in an interrupt runs with interrupts off",
            ("JL013", "error", "demo_handler"),
            &handler(kick()),
            &handler(nop()),
        ),
    ]
    .concat()
}

/// A kernel whose table of hotplug steps has `startup` at the state after "ap:offline", and that
/// registers `demo_starting` for the state `state`.
fn hotplug(startup: &str, state: u64) -> Program {
    let register = [
        enter(),
        load(w(0), state),
        load(x(1), 0),
        load(w(2), 0),
        address(x(3), "demo_starting"),
        load(x(4), 0),
        bl("__cpuhp_setup_state"),
        leave_ret(),
    ];
    let nothing = |name| Function::new(name, [load(w(0), 0), ret()]).local();
    let kicks = |name| Function::new(name, [enter(), kick(), leave_ret()]).local();
    let steps: Vec<&str> = [
        ["demo_name_0", "", "", "", ""],
        ["demo_name_1", startup, "", "", ""],
        ["demo_name_0", "", "", "", ""],
        ["demo_name_2", "demo_kicks", "", "", ""],
    ]
    .concat();
    let name = |name, text: &[u8]| Object::bytes(name, ObjectSection::Data, text);
    kernel([
        nothing("demo_nothing"),
        nothing("__cpuhp_setup_state"),
        kicks("demo_kicks"),
        kicks("demo_starting"),
        Function::new("demo_register", register).exported(),
    ])
    .functions(entries("demo_target"))
    .object(name("demo_name_0", b"ap:offline\0"))
    .object(name("demo_name_1", b"demo:starting\0"))
    .object(name("demo_name_2", b"ap:online\0"))
    .object(Object::pointers("cpuhp_hp_states", &steps))
}

fn hotplugs() -> Vec<LintCase> {
    [
        pair(
            "jl013-hotplug-table",
            "a hotplug callback of a state before ap:online",
            ("JL013", "error", "demo_kicks"),
            &hotplug("demo_kicks", 3),
            &hotplug("demo_nothing", 3),
        ),
        pair(
            "jl013-hotplug-registered",
            "the same, registered at run time",
            ("JL013", "error", "demo_starting"),
            &hotplug("demo_nothing", 1),
            &hotplug("demo_nothing", 4),
        ),
    ]
    .concat()
}

/// A module with a broadcast and interrupts off.
fn module() -> [LintCase; 2] {
    let program = |inside: Code, behind: Code| {
        let patch = code([
            address(x(0), "demo_mod_target"),
            load(w(1), NOP.into()),
            bl("aarch64_insn_patch_text_nosync"),
        ]);
        let body = [enter(), save_and_disable(), patch, inside, restore(), behind, leave_ret()];
        Program::module("demo_patcher").functions([
            Function::new("demo_mod_target", [nop(), ret()]).local(),
            Function::new("demo_mod_patch", body),
        ])
    };
    pair(
        "jl013-module",
        "the broadcast is a function of the kernel",
        ("JL013", "error", "demo_mod_patch"),
        &program(bl("kick_all_cpus_sync"), nop()),
        &program(nop(), bl("kick_all_cpus_sync")),
    )
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    [sections(), callbacks(), hotplugs(), module().into()].concat()
}
