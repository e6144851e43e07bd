//! JL001 and consumers that synchronise themselves: the patching function publishes a pointer,
//! and the function that calls through it executes an ISB first, or does not.

use super::case::{Expected, FIXED, LintCase};
use super::primitives::{entries, kernel, kick, patch};
use crate::code::asm::{
    Domain, address, blr, br, cbz, dmb, enter, isb, label, ldar, ldr, leave, leave_ret, mov, nop,
    stlr, str, x,
};
use crate::code::{Code, Function, Object, ObjectSection, Program, code};

/// `demo_patch` patches, and then publishes by `publish` (x1 to x2); `readers` read `demo_slot`.
fn published(publish: Code, sync: Code, readers: &[Function]) -> Program {
    let pointers = [address(x(1), "demo_target"), address(x(2), "demo_slot")];
    let body = [enter(), patch(), code(pointers), publish, sync, leave_ret()];
    kernel([Function::new("demo_patch", body).local()])
        .functions(readers.iter().cloned())
        .functions(entries("demo_patch"))
        .object(Object::bytes("demo_slot", ObjectSection::Data, &[0; 16]))
}

/// A reader that loads x1 from x0, executes `before`, and calls x1.
fn reader(name: &str, load: Code) -> Function {
    let before = [enter(), address(x(0), "demo_slot"), load];
    let after = [cbz(x(1), "out"), blr(x(1)), label("out"), leave_ret()];
    Function::new(name, [code(before), code(after)]).exported()
}

fn acquire() -> Code {
    ldar(x(1), x(0))
}

fn release() -> Code {
    stlr(x(1), x(2))
}

/// The reduced level of the finding, and the twin that synchronises itself.
fn twins(
    name: &str,
    trap: &'static str,
    level: &'static str,
    publish: &Code,
    readers: &[Function],
) -> [LintCase; 2] {
    let expected: [Expected; 1] = [("JL001", level, "demo_patch")];
    let program = |sync| published(publish.clone(), sync, readers);
    let fixed = format!("{name}{FIXED}");
    [
        LintCase::new(name, trap, &program(nop()), &expected),
        LintCase::new(&fixed, trap, &program(kick()), &[]),
    ]
}

fn one(name: &str, trap: &'static str, level: &'static str, load: Code) -> [LintCase; 2] {
    twins(name, trap, level, &release(), &[reader("demo_read", load)])
}

fn loads() -> Vec<LintCase> {
    let plain = || ldr(x(1), x(0), 0);
    let after = |barrier| code([plain(), barrier, isb()]);
    let on_one_way = [plain(), dmb(Domain::Ishld), cbz(x(19), "skip"), isb(), label("skip")];
    [
        one("jl001-consumer", "LDAR, ISB, BLR", "note", code([acquire(), isb()])),
        one("jl001-consumer-dmb", "LDR, DMB ISHLD, ISB, BLR", "note", after(dmb(Domain::Ishld))),
        one("jl001-consumer-without-isb", "no ISB after the acquire", "error", acquire()),
        one(
            "jl001-consumer-isb-early",
            "an ISB before the load does not discard instructions fetched after the ISB",
            "error",
            code([isb(), acquire()]),
        ),
        one(
            "jl001-consumer-relaxed",
            "a plain load may be satisfied after the ISB",
            "error",
            code([plain(), isb()]),
        ),
        one(
            "jl001-consumer-dmb-ishst",
            "a barrier for stores does not order the load",
            "error",
            after(dmb(Domain::Ishst)),
        ),
        one(
            "jl001-consumer-one-way",
            "an ISB on one of two paths to the branch",
            "error",
            code([code(on_one_way)]),
        ),
    ]
    .concat()
}

fn sides() -> Vec<LintCase> {
    let sound = || reader("demo_read", code([acquire(), isb()]));
    let tail = [address(x(0), "demo_slot"), acquire(), br(x(1))];
    let plain = || str(x(1), x(2), 0);
    let kept = [
        enter(),
        address(x(0), "demo_slot"),
        acquire(),
        isb(),
        mov(x(16), x(1)),
        leave(),
        br(x(16)),
    ];
    [
        twins(
            "jl001-consumer-second",
            "a second reader has no ISB",
            "error",
            &release(),
            &[sound(), Function::new("demo_jump", tail).exported()],
        ),
        twins(
            "jl001-consumer-tail",
            "BR through another register, after the ISB",
            "note",
            &release(),
            &[sound(), Function::new("demo_jump", kept).exported()],
        ),
        twins(
            "jl001-consumer-unreleased",
            "the pointer may be observed before the patch",
            "error",
            &plain(),
            &[sound()],
        ),
        twins(
            "jl001-consumer-barrier",
            "the pointer is stored after a barrier",
            "note",
            &code([dmb(Domain::Ish), plain()]),
            &[sound()],
        ),
        twins(
            "jl001-consumer-elsewhere",
            "the published pointer is not the one that the consumer reads",
            "error",
            &code([address(x(2), "demo_state"), release()]),
            &[sound()],
        ),
    ]
    .concat()
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    [loads(), sides()].concat()
}
