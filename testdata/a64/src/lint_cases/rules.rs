//! Kernels for the other rules.

use super::case::{Expected, LintCase, pair, sound};
use super::linkage::callback;
use super::primitives::{NOP, demo, entries, kernel, kick, maintenance, patch, patch_with};
use crate::code::asm::{
    Cond, Domain, add, add_imm, address, b, b_cond, bic, bl, cbnz, cbz, cmp, dc_cvau, dmb, dsb,
    enter, ic_iallu, ic_ialluis, ic_ivau, isb, label, ldr, leave_ret, load, mov, nop, ret, str,
    sub_imm, w, x,
};
use crate::code::{Code, Function, code};
use jlctl_synthetic::broken;

const PATCH: &str = "demo_patch";
/// The word of `adrp x0, .`: not an instruction that may be modified while other PEs execute
/// it.
const ADRP: u32 = 0x9000_0000;

/// A pair of kernels by the body of `demo_patch`.
fn bodies<const N: usize, const M: usize>(
    name: &str,
    trap: &'static str,
    (rule, level): (&'static str, &'static str),
    buggy: [Code; N],
    fixed: [Code; M],
) -> [LintCase; 2] {
    pair(name, trap, (rule, level, PATCH), &demo(buggy), &demo(fixed))
}

fn order() -> Vec<LintCase> {
    let interrupt = |wait| {
        let arguments = [address(x(0), "smp.c:do_nothing"), load(x(1), 0), load(w(2), wait)];
        [enter(), patch(), code(arguments), bl("smp_call_function"), leave_ret()]
    };
    let per_site = |inside, behind| {
        let next = [sub_imm(x(19), x(19), 1), cbnz(x(19), "next")];
        let all = code([label("next"), patch(), inside, code(next)]);
        [enter(), add_imm(x(19), x(0), 1), all, behind, leave_ret()]
    };
    [
        bodies(
            "jl001-no-wait",
            "an interrupt whose completion is not awaited",
            ("JL001", "error"),
            interrupt(0),
            interrupt(1),
        ),
        bodies(
            "jl004-kick-before-patch",
            "the synchronisation comes before the last patch",
            ("JL004", "error"),
            [enter(), patch(), kick(), patch(), leave_ret()],
            [enter(), patch(), patch(), kick(), leave_ret()],
        ),
        bodies(
            "jl005-local-isb",
            "an ISB synchronises only the CPU that executes it",
            ("JL005", "error"),
            [enter(), patch(), isb(), leave_ret()],
            [enter(), patch(), isb(), kick(), leave_ret()],
        ),
        bodies(
            "jl008-kick-per-site",
            "a synchronisation for each site where one for all is sufficient",
            ("JL008", "note"),
            per_site(kick(), nop()),
            per_site(nop(), kick()),
        ),
    ]
    .concat()
}

fn words() -> Vec<LintCase> {
    let write = |maintain| {
        let target = || address(x(0), "demo_target");
        let write = [target(), load(w(1), NOP.into()), bl("insn.c:__aarch64_insn_write")];
        [enter(), code(write), target(), add_imm(x(1), x(0), 4), maintain, kick(), leave_ret()]
    };
    let pointers = code([address(x(0), "demo_patch_cb"), address(x(1), "demo_state")]);
    let cpus = address(x(2), "__cpu_online_mask");
    let stop = [enter(), pointers, cpus, bl("stop_machine"), leave_ret()];
    let text = [
        enter(),
        address(x(0), "demo_target"),
        load(w(1), ADRP.into()),
        bl("aarch64_insn_patch_text"),
        leave_ret(),
    ];
    let stopped = kernel([
        callback(isb()),
        Function::new("aarch64_insn_patch_text", stop).in_file("demo.c"),
        Function::new(PATCH, text).local(),
    ]);
    let mut all = [
        bodies(
            "jl002-raw-write",
            "an instruction is written without cache maintenance",
            ("JL002", "warning"),
            write(nop()),
            write(bl("__flush_icache_range")),
        ),
        bodies(
            "jl007-adrp",
            "an ADRP must not be written while other PEs execute it; a NOP may",
            ("JL007", "error"),
            [enter(), patch_with(ADRP), kick(), leave_ret()],
            [enter(), patch_with(NOP), kick(), leave_ret()],
        ),
    ]
    .concat();
    let trap = "any instruction may be written while all other CPUs are stopped";
    all.push(sound("jl007-stopped", trap, &stopped.functions(entries(PATCH))));
    all
}

/// Stores to the code of a function, without a primitive.
fn stores() -> Vec<LintCase> {
    let target = || code([address(x(0), "demo_target"), load(w(1), NOP.into())]);
    let flush = || {
        let range = [address(x(0), "demo_target"), add_imm(x(1), x(0), 4)];
        code([code(range), bl("__flush_icache_range")])
    };
    let store = || code([target(), str(w(1), x(0), 4)]);
    let copy = |behind: Code| {
        let copy = code([target(), load(x(2), 4), bl("memcpy")]);
        demo([enter(), copy, behind, kick(), leave_ret()]).functions([Function::new(
            "memcpy",
            [ret()],
        )
        .in_file("string.c")])
    };
    [
        bodies(
            "jl002-store-to-function",
            "a store to the address of a function, without cache maintenance",
            ("JL002", "error"),
            [enter(), store(), leave_ret()],
            [enter(), store(), flush(), kick(), leave_ret()],
        ),
        bodies(
            "jl001-store-to-function",
            "a store to the address of a function patches existing code",
            ("JL001", "error"),
            [enter(), store(), flush(), leave_ret()],
            [enter(), store(), flush(), kick(), leave_ret()],
        ),
        pair(
            "jl002-copy-to-function",
            "the same by memcpy()",
            ("JL002", "error", PATCH),
            &copy(nop()),
            &copy(flush()),
        ),
    ]
    .concat()
}

/// Maintenance of lines whose size was read once, on an arbitrary CPU.
fn line_sizes() -> [LintCase; 2] {
    let lines = |name: &str, size: Code, operation: Code| {
        let step = [size, sub_imm(x(3), x(2), 1), bic(x(4), x(0), x(3)), label(name), operation];
        code([
            code(step),
            add(x(4), x(4), x(2)),
            cmp(x(4), x(1)),
            b_cond(Cond::Lo, name),
            dsb(Domain::Ish),
        ])
    };
    let kept = |offset| code([address(x(5), "demo_state"), ldr(x(2), x(5), offset)]);
    let body =
        [lines("dc", kept(0), dc_cvau(x(4))), lines("ic", kept(8), ic_ivau(x(4))), isb(), ret()];
    let program = |body: Code| kernel([Function::new("demo_flush", [body]).exported()]);
    pair(
        "jl002-kept-line-size",
        "the line size is that of the CPU that read it, which may be another CPU",
        ("JL002", "warning", "demo_flush"),
        &program(code(body)),
        &program(maintenance(dsb(Domain::Ish), dsb(Domain::Ish))),
    )
}

/// Fresh text of a module, which is freed if an error occurs before it can run.
fn load_module() -> [LintCase; 2] {
    let expected: Expected = ("JL001", "note", "load_module");
    let program = |before: Code, behind: Code| {
        let body = [
            enter(),
            mov(x(19), x(0)),
            add_imm(x(1), x(0), 64),
            bl("__flush_icache_range"),
            before,
            bl("parse_args"),
            cbnz(w(0), "free"),
            behind,
            leave_ret(),
            label("free"),
            mov(x(0), x(19)),
            bl("module_memfree"),
            load(w(0), 22),
            leave_ret(),
        ];
        let nothing = |name| Function::new(name, [load(w(0), 0), ret()]).in_file("module.c");
        kernel([
            nothing("parse_args"),
            nothing("module_memfree"),
            Function::new("load_module", body).in_file("module.c"),
        ])
        .functions(entries("load_module"))
    };
    pair(
        "jl001-load-module",
        "an error exit after fresh text: a note, or no finding if the text is synced",
        expected,
        &program(nop(), kick()),
        &program(kick(), nop()),
    )
}

/// Sequences that upstream justifies: a note.
fn tolerated() -> Vec<LintCase> {
    let expected: Expected = ("JL001", "note", "ftrace_make_nop");
    let program = |sync| {
        let body = [enter(), mov(x(19), x(0)), patch(), sync, leave_ret()];
        kernel([Function::new("ftrace_make_nop", body)]).functions(entries("ftrace_make_nop"))
    };
    let trap = "tolerated by design, with the reason";
    pair("jl001-tolerated", trap, expected, &program(nop()), &program(kick())).into()
}

/// Maintenance of one line, or of the whole instruction cache, in this order.
fn maintenance_order() -> Vec<LintCase> {
    let flush = |name, trap, level, buggy: Vec<Code>, fixed: Vec<Code>| {
        let program = |body: Vec<Code>| {
            let patch =
                Function::new("demo_flush", [code([nop()])].into_iter().chain(body)).exported();
            kernel([patch])
        };
        pair(name, trap, ("JL003", level, "demo_flush"), &program(buggy), &program(fixed))
    };
    let (dc, ic, ish) = (|| dc_cvau(x(0)), || ic_ivau(x(0)), || dsb(Domain::Ish));
    let line = || vec![dc(), ish(), ic(), ish(), isb(), ret()];
    let all = |ic: Code, barrier| vec![dc(), ish(), ic, barrier, isb(), ret()];
    // A range of lines, which may be empty.
    let lines = |operation: Code, start, end| {
        let next = [add_imm(x(0), x(0), 64), sub_imm(x(1), x(1), 64), b(start)];
        let body = [label(start), cbz(x(1), end), operation, code(next), label(end)];
        code(body)
    };
    let ranges = [
        label("range"),
        lines(dc(), "clean", "cleaned"),
        ish(),
        lines(ic(), "invalidate", "invalidated"),
        ish(),
        isb(),
        sub_imm(x(2), x(2), 1),
        cbnz(x(2), "range"),
        ret(),
    ];
    let by_call = |first, second| {
        let clean = Function::new("demo_clean", [dc(), ish(), ret()]).local();
        let invalidate = Function::new("demo_invalidate", [ic(), ish(), isb(), ret()]).local();
        let body = [enter(), bl(first), bl(second), leave_ret()];
        kernel([clean, invalidate, Function::new("demo_flush", body).exported()])
    };
    let step = |ic_first: bool| {
        let (first, second) = if ic_first { (ic(), dc()) } else { (dc(), ic()) };
        let next = [sub_imm(x(1), x(1), 64), cbnz(x(1), "next"), isb(), ret()];
        let body = [label("next"), first, ish(), second, ish(), add_imm(x(0), x(0), 64)];
        body.into_iter().chain(next).collect::<Vec<_>>()
    };
    let pairs = [
        flush(
            "jl003-module-ic-before-dc",
            "the IC precedes the DC",
            "warning",
            vec![ic(), ish(), isb(), dc(), ish(), ret()],
            line(),
        ),
        flush(
            "jl003-module-ic-before-dc-in-loop",
            "the IC precedes the DC, line by line",
            "warning",
            step(true),
            step(false),
        ),
        pair(
            "jl003-module-ic-before-dc-in-callees",
            "the IC and the DC are in functions of their own",
            ("JL003", "warning", "demo_flush"),
            &by_call("demo_invalidate", "demo_clean"),
            &by_call("demo_clean", "demo_invalidate"),
        ),
        flush(
            "jl003-module-local-invalidation",
            "nothing waits for the IC IALLU",
            "warning",
            all(ic_iallu(), dmb(Domain::Ish)),
            all(ic_iallu(), dsb(Domain::Nsh)),
        ),
        flush(
            "jl003-module-broadcast-invalidation",
            "a DSB of this CPU alone does not complete an IC IALLUIS",
            "warning",
            all(ic_ialluis(), dsb(Domain::Nsh)),
            all(ic_ialluis(), ish()),
        ),
        flush(
            "jl003-module-no-isb",
            "this CPU does not fetch again",
            "note",
            vec![dc(), ish(), ic(), ish(), ret()],
            line(),
        ),
    ];
    let ranges = sound(
        "jl003-module-ranges",
        "the DC of the next range follows the IC of this one",
        &kernel([Function::new("demo_flush", ranges).exported()]),
    );
    let mut all = pairs.concat();
    all.push(ranges);
    all
}

/// A jump table with a bad entry, and its sound kernel.
fn tables() -> [LintCase; 2] {
    let case = |name: &str, bytes, expected: &[Expected]| LintCase {
        name: name.to_owned(),
        trap: "a site whose B does not go to its entry's target",
        bytes,
        kernel: None,
        expected: expected.to_vec(),
    };
    [
        case(
            "jl010-jump-elsewhere",
            broken::sites::jump_elsewhere(),
            &[("JL010", "error", "broken_fn")],
        ),
        case("jl010-jump-elsewhere-fixed", broken::base().build(), &[]),
    ]
}

/// A kernel without patching.
fn nothing() -> LintCase {
    let body = [enter(), bl("panic"), b("out"), label("out"), leave_ret()];
    let trap = "primitives without callers";
    sound("primitives-alone", trap, &kernel([Function::new("demo_read", body).exported()]))
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let mut all = [
        order(),
        words(),
        line_sizes().into(),
        load_module().into(),
        maintenance_order(),
        stores(),
        tolerated(),
        tables().into(),
    ]
    .concat();
    all.push(nothing());
    all
}
