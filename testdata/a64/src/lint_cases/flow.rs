//! JL001 and control flow: paths, loops, callers, tail calls, switches, sites.

use super::case::{Expected, LintCase, pair};
use super::primitives::{NOP, demo, entries, kernel, kick, patch};
use crate::code::asm::{
    Cond, FP, LR, SP, add, add_imm, add_shifted, address, adr, autiasp, b, b_cond, bl, blraa, br,
    bti_c, bti_j, cbnz, cbz, cmp, cmp_imm, enter, label, ldp_post, ldr, ldrb, leave, leave_ret,
    load, mov, nop, paciasp, ret, retaa, site, site_jump, stp_pre, sub_imm, w, x,
};
use crate::code::{Code, Entries, Function, Object, Program, code};

const UNSYNCED: Expected = ("JL001", "error", "demo_patch");

/// A pair of kernels by the body of `demo_patch`.
fn bodies<const N: usize, const M: usize>(
    name: &str,
    trap: &'static str,
    buggy: [Code; N],
    fixed: [Code; M],
) -> [LintCase; 2] {
    pair(name, trap, UNSYNCED, &demo(buggy), &demo(fixed))
}

/// The loop of `__jump_label_update()` over entries in x1 to x2.
fn update(each: Code, end: Code) -> Function {
    let body = [
        enter(),
        mov(x(19), x(1)),
        mov(x(20), x(2)),
        label("next"),
        cmp(x(19), x(20)),
        b_cond(Cond::Eq, "out"),
        mov(x(0), x(19)),
        each,
        add_imm(x(19), x(19), 16),
        b("next"),
        label("out"),
        end,
        leave_ret(),
    ];
    Function::new("__jump_label_update", body).local_to("jump_label.c")
}

/// The function that patches the site of the entry in x0.
fn transform(name: &str) -> Function {
    let body = [
        enter(),
        ldr(w(2), x(0), 0),
        add(x(0), x(0), x(2)),
        load(w(1), NOP.into()),
        bl("aarch64_insn_patch_text_nosync"),
        load(w(0), 1),
        leave_ret(),
    ];
    Function::new(name, body).in_file("arch_jump_label.c")
}

/// The callers of `__jump_label_update()`, up to a system call.
fn static_keys() -> [Function; 3] {
    let enable = [
        enter(),
        ldr(w(1), x(0), 0),
        cbnz(w(1), "on"),
        ldr(x(1), x(0), 8),
        cbz(x(1), "on"),
        add_imm(x(2), x(1), 32),
        bl("__jump_label_update"),
        label("on"),
        leave_ret(),
    ];
    [
        Function::new("static_key_enable_cpuslocked", enable).in_file("jump_label.c").exported(),
        Function::new("static_key_enable", [b("static_key_enable_cpuslocked")])
            .in_file("jump_label.c")
            .exported(),
        Function::new(
            "__arm64_sys_demo",
            [enter(), address(x(0), "demo_state"), bl("static_key_enable"), leave_ret()],
        ),
    ]
}

/// The kernel with the defect, as Linux 5.10 has it.
pub(super) fn without_apply() -> Program {
    kernel([transform("arch_jump_label_transform")])
        .functions([update(bl("arch_jump_label_transform"), nop())])
        .functions(static_keys())
}

/// The same with queue and apply, as Linux 6.12 has it.
pub(super) fn with_apply() -> Program {
    let apply = || bl("arch_jump_label_transform_apply");
    let each = [
        bl("arch_jump_label_transform_queue"),
        cbnz(w(0), "queued"),
        apply(),
        mov(x(0), x(19)),
        bl("arch_jump_label_transform_queue"),
        label("queued"),
    ];
    kernel([transform("arch_jump_label_transform_queue")])
        .functions([Function::new("arch_jump_label_transform_apply", [b("kick_all_cpus_sync")])
            .in_file("arch_jump_label.c")])
        .functions([update(code(each), apply())])
        .functions(static_keys())
}

/// `demo_caller` calls `demo_patch`, which leaves the synchronisation to its caller.
fn caller<const N: usize>(body: [Code; N]) -> Program {
    kernel([
        Function::new("demo_patch", [enter(), patch(), leave_ret()]).local(),
        Function::new("demo_caller", body).local(),
    ])
    .functions(entries("demo_caller"))
}

fn ways() -> Vec<LintCase> {
    let skip = || cbz(x(19), "out");
    let end = || code([label("out"), leave_ret()]);
    let again = |check: Code, at_end: Code| {
        let step = code([kick(), sub_imm(x(19), x(19), 1)]);
        [enter(), mov(x(19), x(0)), patch(), label("next"), check, step, at_end, end()]
    };
    let begin = || code([enter(), mov(x(19), x(0)), bl("demo_patch")]);
    [
        pair(
            "jl001-transform",
            "the defect of Linux 5.10, and queue and apply of 6.12",
            ("JL001", "error", "arch_jump_label_transform"),
            &without_apply(),
            &with_apply(),
        ),
        bodies(
            "jl001-one-path",
            "a synchronisation on one of two paths",
            [enter(), mov(x(19), x(0)), patch(), skip(), kick(), end()],
            [
                enter(),
                mov(x(19), x(0)),
                patch(),
                skip(),
                kick(),
                leave_ret(),
                label("out"),
                kick(),
                leave_ret(),
            ],
        ),
        bodies(
            "jl001-loop-of-zero",
            "a synchronisation inside a loop that may run zero times",
            again(skip(), b("next")),
            again(nop(), cbnz(x(19), "next")),
        ),
        pair(
            "jl001-caller",
            "the caller synchronises: on some exits, on every exit",
            UNSYNCED,
            &caller([begin(), cbz(w(0), "fail"), kick(), leave_ret(), label("fail"), leave_ret()]),
            &caller([
                begin(),
                cbz(w(0), "fail"),
                kick(),
                leave_ret(),
                label("fail"),
                kick(),
                leave_ret(),
            ]),
        ),
        bodies(
            "jl001-spins",
            "a function that never returns leaves its caller nothing to synchronise",
            [enter(), patch(), cbz(w(0), "out"), label("spin"), nop(), b("spin"), end()],
            [enter(), patch(), label("spin"), nop(), b("spin")],
        ),
        bodies(
            "jl001-panics",
            "a function that does not return propagates no state to its caller",
            [enter(), patch(), cbz(w(0), "out"), bl("panic"), end()],
            [enter(), patch(), cbz(w(0), "out"), bl("panic"), label("out"), kick(), leave_ret()],
        ),
    ]
    .concat()
}

fn branches() -> Vec<LintCase> {
    let arguments = || code([address(x(0), "demo_target"), load(w(1), NOP.into())]);
    let nosync = "aarch64_insn_patch_text_nosync";
    let kick_name = "kick_all_cpus_sync";
    let signed = |sync: Code| {
        let pop = code([ldp_post((FP, LR), SP, 16), retaa()]);
        [bti_c(), paciasp(), stp_pre((FP, LR), SP, -16), mov(FP, SP), patch(), sync, pop]
    };
    let pointer = |to: &str| {
        let call = code([address(x(8), to), load(x(9), 0), blraa(x(8), x(9))]);
        let pop = code([ldp_post((FP, LR), SP, 16), autiasp(), ret()]);
        [paciasp(), stp_pre((FP, LR), SP, -16), mov(FP, SP), patch(), call, pop]
    };
    [
        bodies(
            "jl001-tail-call",
            "the primitive, or the synchronisation, by a tail call (B)",
            [arguments(), b(nosync)],
            [enter(), patch(), leave(), b(kick_name)],
        ),
        bodies(
            "jl001-conditional-tail-call",
            "the same by B.cond",
            [mov(x(2), x(0)), arguments(), cmp_imm(w(2), 0), b_cond(Cond::Eq, nosync), ret()],
            [
                enter(),
                patch(),
                cmp_imm(w(0), 0),
                leave(),
                b_cond(Cond::Ne, kick_name),
                b(kick_name),
            ],
        ),
        pair(
            "jl001-switch",
            "a switch through BR, of which one case does not synchronise",
            UNSYNCED,
            &switch(nop()),
            &switch(kick()),
        ),
        bodies(
            "jl001-signed-return",
            "BTI, PACIASP and RETAA: a return as any other",
            signed(nop()),
            signed(kick()),
        ),
        bodies(
            "jl001-signed-call",
            "BLRAA of a constant pointer: to nothing, to the synchronisation",
            pointer("demo_target"),
            pointer(kick_name),
        ),
    ]
    .concat()
}

/// A patch, and a switch over four cases and a default; `third` is the body of one case.
fn switch(third: Code) -> Program {
    let dispatch = [
        cmp_imm(w(19), 3),
        b_cond(Cond::Hi, "default"),
        address(x(8), "demo_switch"),
        adr(x(9), "case0"),
        ldrb(w(10), x(8), x(19)),
        add_shifted(x(9), x(9), x(10), 2),
        br(x(9)),
    ];
    let case = |name: &str, body: Code| code([label(name), bti_j(), body, b("out")]);
    let body = [
        enter(),
        mov(w(19), w(0)),
        patch(),
        code(dispatch),
        case("case0", kick()),
        case("case1", kick()),
        case("case2", third),
        case("case3", kick()),
        label("default"),
        kick(),
        label("out"),
        leave_ret(),
    ];
    let cases = ["case0", "case1", "case2", "case3"];
    let entries = Entries::FromLabel("case0".to_owned(), 1);
    demo(body).object(Object::branches("demo_switch", "demo_patch", entries, &cases))
}

fn sites() -> Vec<LintCase> {
    let both = |first: Code| {
        let far = code([label("far"), kick(), leave_ret()]);
        [enter(), patch(), first, kick(), leave_ret(), far]
    };
    let far =
        |sync: Code| [enter(), site("far"), leave_ret(), label("far"), patch(), sync, leave_ret()];
    let near = |sync: Code| [enter(), site_jump("out"), patch(), sync, label("out"), leave_ret()];
    [
        bodies(
            "jl001-site-nop-side",
            "only the NOP side of a jump-table site synchronises",
            [enter(), patch(), site("out"), kick(), label("out"), leave_ret()],
            both(site("far")),
        ),
        bodies(
            "jl001-site-b-side",
            "only the B side of a jump-table site synchronises, and the site holds a B",
            [enter(), patch(), site_jump("far"), leave_ret(), label("far"), kick(), leave_ret()],
            both(site_jump("far")),
        ),
        bodies(
            "jl001-patch-behind-nop",
            "the site holds a NOP, and the patch is where its B would go",
            far(nop()),
            far(kick()),
        ),
        bodies(
            "jl001-patch-behind-b",
            "the site holds a B, and the patch is on the other side",
            near(nop()),
            near(kick()),
        ),
    ]
    .concat()
}

/// Recursive functions.
fn recursion() -> Vec<LintCase> {
    let own = |end: Code| {
        let again = [mov(x(0), x(19)), bl("demo_patch"), leave_ret()];
        let begin = [enter(), sub_imm(x(19), x(0), 1), patch(), cbz(x(19), "last")];
        [code(begin), code(again), label("last"), end, leave_ret()]
    };
    let each_other = |end: Code| {
        let odd = [enter(), sub_imm(x(0), x(0), 1), bl("demo_patch"), leave_ret()];
        let begin = [enter(), mov(x(19), x(0)), patch(), mov(x(0), x(19)), cbz(x(0), "last")];
        let even = [code(begin), bl("demo_odd"), leave_ret(), label("last"), end, leave_ret()];
        kernel([Function::new("demo_odd", odd).local(), Function::new("demo_patch", even).local()])
            .functions(entries("demo_patch"))
    };
    [
        bodies(
            "jl001-recursion",
            "only the last recursive call would synchronise",
            own(nop()),
            own(kick()),
        ),
        pair(
            "jl001-mutual-recursion",
            "the same for two mutually recursive functions",
            UNSYNCED,
            &each_other(nop()),
            &each_other(kick()),
        ),
    ]
    .concat()
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    [ways(), branches(), recursion(), sites()].concat()
}
