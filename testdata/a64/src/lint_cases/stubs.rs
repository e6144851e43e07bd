//! Calls through stubs of the linker: a call of the target.

use super::case::{LintCase, pair};
use super::user::{REGISTER, SYNC_CORE, by_libc, flush, library, patch_own_text, start};
use crate::code::asm::{
    add_lo12, address, adrp, bl, br, bti_c, enter, label, ldr_literal, leave_ret, quad, x,
};
use crate::code::{Code, Function, Program, code};

/// A library that changes its own text and then calls `callee`. `demo_sync` synchronises,
/// `demo_nothing` does not.
fn calls(callee: &str, stubs: impl IntoIterator<Item = Function>) -> Program {
    let sync = [enter(), by_libc(SYNC_CORE), leave_ret()];
    let nothing = [enter(), bl("puts"), leave_ret()];
    library([
        Function::new("demo_sync", sync).exported(),
        Function::new("demo_nothing", nothing).exported(),
        patch_own_text(flush(), bl(callee)),
        start(by_libc(REGISTER)),
    ])
    .functions(stubs)
}

/// The same through a veneer, whose instructions are `veneer` of its target.
fn by_veneer(target: &str, veneer: fn(&str) -> Code) -> Program {
    calls("demo_veneer", [Function::new("demo_veneer", [veneer(target)]).local()])
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let expected = ("JL001", "error", "demo_patch");
    let veneer = |name, trap, veneer| {
        let program = |target| by_veneer(target, veneer);
        pair(name, trap, expected, &program("demo_nothing"), &program("demo_sync"))
    };
    [
        pair(
            "jl001-user-plt",
            "the slot of a stub is of a function of the same library",
            expected,
            &calls("demo_nothing@plt", []),
            &calls("demo_sync@plt", []),
        ),
        veneer("jl001-user-veneer", "a veneer of ADRP, ADD and BR", |to| {
            code([address(x(16), to), br(x(16))])
        }),
        veneer("jl001-user-veneer-bti", "a veneer that begins with BTI C", |to| {
            code([bti_c(), adrp(x(17), to), add_lo12(x(16), x(17), to), br(x(16))])
        }),
        veneer("jl001-user-veneer-literal", "a veneer with the address of its target", |to| {
            code([ldr_literal(x(16), "pool"), br(x(16)), label("pool"), quad(to)])
        }),
    ]
    .concat()
}
