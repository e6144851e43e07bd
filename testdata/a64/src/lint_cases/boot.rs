//! JL001 and the start of a kernel: which code runs before the other CPUs do.

use super::case::{Expected, LintCase, pair};
use super::primitives::{NOP, entries, kernel, kick, patch};
use crate::code::asm::{address, b, bl, cbnz, enter, label, leave_ret, load, nop, ret, w, x};
use crate::code::{Code, Function, Object, Program, code};
use jlctl_synthetic::spec::TextSection;

const UNSYNCED: Expected = ("JL001", "error", "demo_patch");
const INIT: TextSection = TextSection::Init;

/// `demo_patch`, which patches in `.init.text` and leaves the synchronisation to others.
fn patcher() -> Function {
    Function::new("demo_patch", [enter(), patch(), leave_ret()]).local().in_section(INIT)
}

fn init(name: &str, body: impl IntoIterator<Item = Code>) -> Function {
    Function::new(name, body).in_section(INIT)
}

/// `start_kernel()` with these calls.
fn start_kernel<const N: usize>(calls: [Code; N]) -> Function {
    init("start_kernel", [enter(), code(calls), bl("panic")])
}

/// `kernel_init_freeable()` with these calls before and after `smp_init()`, below the thread that
/// `start_kernel()` creates.
fn init_thread(before: Code, after: Code) -> Program {
    let thread = [enter(), bl("kernel_init_freeable"), leave_ret()];
    let rest = [enter(), address(x(0), "kernel_init"), bl("demo_thread"), leave_ret()];
    kernel([
        patcher(),
        init("smp_init", [load(w(0), 0), ret()]),
        init("kernel_init_freeable", [enter(), before, bl("smp_init"), after, leave_ret()]),
        Function::new("demo_thread", [ret()]),
        Function::new("kernel_init", thread).local(),
        Function::new("rest_init", rest).local(),
        start_kernel([bl("rest_init")]),
    ])
}

/// A kernel whose first table of initcalls is `early` and whose second is `late`.
fn initcalls(early: &[&str], late: &[&str]) -> Program {
    kernel([patcher(), start_kernel([])])
        .functions([init("demo_nothing", [ret()])])
        .object(Object::pointers("__initcall_start", early))
        .object(Object::pointers("__initcall0_start", late))
}

/// A module whose init function patches and then runs `sync`.
fn module(section: TextSection, sync: Code) -> Program {
    let patch = code([
        address(x(0), "demo_mod_target"),
        load(w(1), NOP.into()),
        bl("aarch64_insn_patch_text_nosync"),
    ]);
    let body = [enter(), patch, sync, leave_ret()];
    Program::module("demo_patcher").functions([
        Function::new("demo_mod_target", [nop(), ret()]).local(),
        Function::new("demo_init", body).local().in_section(section).alias("init_module"),
    ])
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let helper = |callers: Program| {
        callers.functions([init("demo_helper", [enter(), bl("demo_patch"), leave_ret()])])
    };
    let boot = || kernel([patcher(), start_kernel([bl("demo_helper")])]);
    let later = [enter(), cbnz(x(0), "out"), bl("demo_helper"), label("out"), leave_ret()];
    let init_thread_calls = || init_thread(bl("demo_patch"), nop());
    [
        pair(
            "jl001-init-text-of-module",
            "the init function of a module runs with all CPUs up",
            ("JL001", "error", "init_module"),
            &module(INIT, nop()),
            &module(INIT, kick()),
        ),
        pair(
            "jl001-init-of-module",
            "the kernel calls the init function of a module through its struct module",
            ("JL001", "error", "init_module"),
            &module(TextSection::Text, nop()).object(Object::pointers("demo_this", &["demo_init"])),
            &module(TextSection::Text, kick()),
        ),
        pair(
            "jl001-initcall",
            "a function of .init.text that start_kernel() does not call is an initcall",
            UNSYNCED,
            &kernel([patcher(), start_kernel([])]),
            &kernel([patcher(), start_kernel([bl("demo_patch")])]),
        ),
        pair(
            "jl001-init-called-later",
            "a function below start_kernel() is also called once the other CPUs run",
            UNSYNCED,
            &helper(boot()).functions([Function::new("demo_later", later).exported()]),
            &helper(boot()),
        ),
        pair(
            "jl001-early-initcall",
            "only the initcalls before __initcall0_start precede the other CPUs",
            ("JL001", "warning", "demo_patch"),
            &initcalls(&["demo_nothing"], &["demo_patch"]),
            &initcalls(&["demo_patch"], &["demo_nothing"]),
        ),
        pair(
            "jl001-after-smp-init",
            "kernel_init_freeable() starts the other CPUs half way",
            ("JL001", "warning", "demo_patch"),
            &init_thread(nop(), bl("demo_patch")),
            &init_thread_calls(),
        ),
        pair(
            "jl001-exported-init",
            "an exported function in .init.text has callers that the lint does not see",
            UNSYNCED,
            &kernel([
                patcher(),
                init("demo_setup", [enter(), bl("demo_patch"), leave_ret()]).exported(),
                start_kernel([bl("demo_setup")]),
            ]),
            &kernel([
                patcher(),
                init("demo_setup", [b("demo_patch")]),
                start_kernel([bl("demo_setup")]),
            ])
            .functions(entries("demo_target")),
        ),
    ]
    .concat()
}
