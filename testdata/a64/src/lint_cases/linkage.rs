//! JL001, JL006 and references to functions: callbacks, pointers in data, names, sections.

use super::case::{Expected, LintCase, pair};
use super::primitives::{demo, entries, kernel, kick, patch};
use crate::code::asm::{
    Cond, add_imm, add_lo12, address, adr, adrp, b, b_cond, bl, blr, cbz, cmp_imm, enter, isb,
    label, ldr, ldr_literal, leave_ret, load, mov, nop, quad, ret, str, w, x,
};
use crate::code::{Code, Function, Object, Program, code};
use jlctl_synthetic::spec::{Relocations, TextSection};

const UNSYNCED: Expected = ("JL001", "error", "demo_patch");
const PAGE: u64 = 0x1000;

/// The callback of stop_machine() as `aarch64_insn_patch_text_cb()` is: the first CPU patches
/// while the others wait; then they execute `end`.
pub(super) fn callback(end: Code) -> Function {
    let body = [
        enter(),
        mov(x(19), x(0)),
        ldr(w(1), x(19), 0),
        add_imm(w(1), w(1), 1),
        str(w(1), x(19), 0),
        cmp_imm(w(1), 1),
        b_cond(Cond::Ne, "wait"),
        patch(),
        load(w(1), 1),
        str(w(1), x(19), 4),
        b("out"),
        label("wait"),
        ldr(w(1), x(19), 4),
        cbz(w(1), "wait"),
        end,
        label("out"),
        load(w(0), 0),
        leave_ret(),
    ];
    Function::new("demo_patch_cb", body).local()
}

/// A kernel that stops all CPUs for the callback, whose address the instructions `pointers`
/// compute; all CPUs run it.
fn stopped(callback: Function, pointers: Code) -> Program {
    stopped_on(callback, pointers, address(x(2), "__cpu_online_mask"))
}

/// The same; the instructions `cpus` compute the mask of the CPUs that run the callback.
fn stopped_on(callback: Function, pointers: Code, cpus: Code) -> Program {
    let body = [enter(), pointers, cpus, bl("stop_machine"), leave_ret()];
    kernel([callback, Function::new("demo_patch", body).local()]).functions(entries("demo_patch"))
}

fn callbacks() -> Vec<LintCase> {
    let missing: Expected = ("JL006", "error", "demo_patch_cb");
    let both = |name, trap, align: u64, pointers: fn() -> Code| {
        let program = |end| stopped(callback(end).aligned(align), pointers());
        pair(name, trap, missing, &program(nop()), &program(isb()))
    };
    [
        both(
            "jl006-callback",
            "the ISB of the patching CPU does not synchronise the waiting CPUs",
            8,
            || code([address(x(0), "demo_patch_cb"), address(x(1), "demo_state")]),
        ),
        both(
            "jl006-adrp-alone",
            "the callback is page-aligned: ADRP alone computes its address",
            PAGE,
            || code([adrp(x(0), "demo_patch_cb"), address(x(1), "demo_state")]),
        ),
        both("jl006-interleaved", "the ADRP and ADD of two pointers are interleaved", 8, || {
            let (callback, state) = ("demo_patch_cb", "demo_state");
            code([
                adrp(x(0), callback),
                adrp(x(1), state),
                add_lo12(x(1), x(1), state),
                add_lo12(x(0), x(0), callback),
            ])
        }),
        both("jl006-adr", "ADR alone makes the pointer", 8, || {
            code([adr(x(0), "demo_patch_cb"), address(x(1), "demo_state")])
        }),
        both("jl006-literal", "the pointer is in a literal pool within the code", 8, || {
            let pool = [b("load"), label("pool"), quad("demo_patch_cb"), label("load")];
            code([code(pool), ldr_literal(x(0), "pool"), address(x(1), "demo_state")])
        }),
    ]
    .concat()
}

/// A callback with an ISB that one CPU runs, and that all CPUs run.
fn masks() -> Vec<LintCase> {
    let pointers = || code([address(x(0), "demo_patch_cb"), address(x(1), "demo_state")]);
    let program = |cpus| stopped_on(callback(isb()), pointers(), cpus);
    // The patch is in the caller; the callback only has the ISB.
    let after_patch = |cpus| {
        let isb = Function::new("demo_isb_cb", [isb(), load(w(0), 0), ret()]).local();
        let stop = code([address(x(0), "demo_isb_cb"), load(x(1), 0), cpus, bl("stop_machine")]);
        kernel([isb, Function::new("demo_patch", [enter(), patch(), stop, leave_ret()]).local()])
            .functions(entries("demo_patch"))
    };
    let all = || address(x(2), "__cpu_online_mask");
    [
        pair(
            "jl006-one-cpu",
            "without a mask only one CPU runs the callback, and the others wait",
            ("JL006", "error", "demo_patch_cb"),
            &program(load(x(2), 0)),
            &program(all()),
        ),
        pair(
            "jl001-isb-on-one-cpu",
            "the same after the patch: one CPU executes the ISB of the callback",
            UNSYNCED,
            &after_patch(load(x(2), 0)),
            &after_patch(all()),
        ),
    ]
    .concat()
}

/// The page of an ADRP, and the function that starts on it.
fn pages() -> Vec<LintCase> {
    let program = |pointer: fn() -> Code, sync| {
        let patch = Function::new("demo_patch", [enter(), patch(), sync, leave_ret()]);
        let user = [enter(), pointer(), bl("demo_target"), leave_ret()];
        kernel([
            patch.local().aligned(PAGE),
            Function::new("demo_other", [nop(), ret()]).local(),
            Function::new("demo_user", user).exported(),
        ])
    };
    let both = |name, trap, level, pointer| {
        let expected = ("JL001", level, "demo_patch");
        pair(name, trap, expected, &program(pointer, nop()), &program(pointer, kick()))
    };
    [
        both("jl001-page-of-another", "an ADD makes another address of the page", "error", || {
            address(x(0), "demo_other")
        }),
        both(
            "jl001-page-kept",
            "the page stays in its register at a call, after an ADD into another register",
            "error",
            || code([adrp(x(2), "demo_other"), add_lo12(x(0), x(2), "demo_other")]),
        ),
        both(
            "jl001-page-across-blocks",
            "the ADD is in another block than the ADRP",
            "error",
            || {
                let add = add_lo12(x(0), x(2), "demo_other");
                code([adrp(x(2), "demo_other"), cbz(x(1), "skip"), nop(), label("skip"), add])
            },
        ),
        both("jl001-page-passed", "the page itself is the argument", "warning", || {
            adrp(x(0), "demo_patch")
        }),
        both("jl001-page-copied", "a copy of the page is the argument", "warning", || {
            code([adrp(x(8), "demo_patch"), mov(x(0), x(8))])
        }),
        both("jl001-page-stored", "the page is stored", "warning", || {
            let state = [adrp(x(8), "demo_patch"), address(x(9), "demo_state")];
            code([code(state), str(x(8), x(9), 0)])
        }),
    ]
    .concat()
}

/// A kernel whose patcher is reached only through a table of pointers.
fn by_pointer(relocations: Relocations, sync: Code) -> Program {
    let notify =
        [enter(), address(x(1), "demo_operations"), ldr(x(1), x(1), 8), blr(x(1)), leave_ret()];
    kernel([
        Function::new("demo_notifier", [enter(), patch(), sync, leave_ret()]).local(),
        Function::new("demo_notify", notify).exported(),
    ])
    .object(Object::pointers("demo_operations", &["demo_target", "demo_notifier"]))
    .relocated(relocations)
}

fn pointers() -> Vec<LintCase> {
    let expected = ("JL001", "warning", "demo_notifier");
    let both = |name, trap, relocations| {
        let program = |sync| by_pointer(relocations, sync);
        pair(name, trap, expected, &program(nop()), &program(kick()))
    };
    [
        both("jl001-pointer", "reached through a pointer in data", Relocations::None),
        both("jl001-pointer-rela", "the pointer is zero before RELA", Relocations::Rela),
        both("jl001-pointer-relr", "only RELR refers to the pointer", Relocations::Relr),
    ]
    .concat()
}

fn names() -> Vec<LintCase> {
    let set = |sync| Function::new("demo_set", [enter(), patch(), sync, leave_ret()]);
    let twice = |sync| {
        kernel([
            set(kick()).local_to("other.c"),
            set(sync).local(),
            Function::new("demo_other", [enter(), bl("demo_set"), leave_ret()])
                .in_file("other.c")
                .exported(),
        ])
        .functions(entries("demo_set"))
    };
    let alias = |sync: &str| {
        demo([enter(), patch(), bl(sync), leave_ret()])
            .alias("aarch64_insn_patch_text_nosync", "__demo_poke")
            .alias("kick_all_cpus_sync", "__demo_kick")
            .alias("demo_target", "__demo_nothing")
    };
    let part = |sync| {
        let body = [enter(), patch(), sync, leave_ret()];
        let whole = [cbz(x(0), "out"), b("demo_apply.part.0"), label("out"), ret()];
        kernel([
            Function::new("demo_apply.part.0", body).local(),
            Function::new("demo_apply", whole).exported(),
        ])
    };
    let clone = |name: &str| {
        kernel([
            Function::new("demo_sync.isra.0", [enter(), kick(), leave_ret()]).local(),
            Function::new("demo_sync.constprop.0", [ret()]).local(),
            Function::new("demo_patch", [enter(), patch(), bl(name), leave_ret()]).local(),
        ])
        .functions(entries("demo_patch"))
    };
    let cold = |sync| {
        let hot = [enter(), patch(), cbz(w(0), "demo_patch.cold"), kick(), leave_ret()];
        kernel([
            Function::new("demo_patch", hot).local(),
            Function::new("demo_patch.cold", [sync, leave_ret()]).local(),
        ])
        .functions(entries("demo_patch"))
    };
    [
        pair(
            "jl001-same-name",
            "two local functions of one name, of which one does not synchronise",
            ("JL001", "error", "demo_set"),
            &twice(nop()),
            &twice(kick()),
        ),
        pair(
            "jl001-alias",
            "primitives have other symbols before the known ones",
            UNSYNCED,
            &alias("__demo_nothing"),
            &alias("__demo_kick"),
        ),
        pair(
            "jl001-part",
            "the patch is in a part that the compiler outlined",
            ("JL001", "error", "demo_apply.part.0"),
            &part(nop()),
            &part(kick()),
        ),
        pair(
            "jl001-clone",
            "clones of a function differ in behaviour",
            UNSYNCED,
            &clone("demo_sync.constprop.0"),
            &clone("demo_sync.isra.0"),
        ),
        pair(
            "jl001-cold",
            "one path returns from the cold part of the function",
            UNSYNCED,
            &cold(nop()),
            &cold(kick()),
        ),
    ]
    .concat()
}

fn sections() -> Vec<LintCase> {
    let patch = || Function::new("demo_patch", [enter(), patch(), leave_ret()]).local();
    let start = Function::new("start_kernel", [enter(), bl("demo_patch"), bl("panic")]);
    let init = TextSection::Init;
    let boot = kernel([patch().in_section(init), start.in_section(init)]);
    let late = kernel([patch()]).functions(entries("demo_patch"));
    let trap = "code of .init.text runs before other CPUs do";
    pair("jl001-init-text", trap, UNSYNCED, &late, &boot).into()
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    [callbacks(), masks(), pages(), pointers(), names(), sections()].concat()
}
