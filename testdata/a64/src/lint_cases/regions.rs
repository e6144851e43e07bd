//! JL001 and programs that write to memory that they made executable.

use super::case::{Expected, LintCase, pair};
use super::user::{
    ALL, PAGE, READ_EXEC, READ_WRITE, REGISTER, SYNC_CORE, by_libc, flush, library, map, start,
};
use crate::code::asm::{
    add_imm, address, b, bl, blr, enter, leave_ret, load, mov, nop, stlr, str, w, word, x,
};
use crate::code::{Code, Function, Object, Program, code};

/// The word of `and x0, x0, #0xfffffffffffff000`.
const TO_PAGE: u32 = 0x9274_cc00;
/// The word of RET.
const RET: u64 = 0xd65f_03c0;

/// mprotect() of the page that x19 points into.
fn protect(protection: u64) -> Code {
    let arguments = [mov(x(0), x(19)), word(TO_PAGE), load(x(1), PAGE), load(w(2), protection)];
    code([code(arguments), bl("mprotect")])
}

/// The same through functions that pass on their parameters, so that no function makes memory
/// writable and executable by a constant.
fn through(callee: &str, protection: u64) -> Code {
    code([mov(x(0), x(19)), load(w(1), protection), bl(callee)])
}

/// `demo_protect(pointer, protection)`, and a function that calls it with more permissions.
fn protectors() -> [Function; 2] {
    let body = [word(TO_PAGE), mov(w(2), w(1)), load(x(1), PAGE), b("mprotect")];
    let outer = [enter(), bl("demo_protect"), leave_ret()];
    [Function::new("demo_protect", body).local(), Function::new("demo_protect_page", outer).local()]
}

fn write() -> Code {
    code([load(w(1), RET), str(w(1), x(19), 0), flush()])
}

/// A library whose exported function `demo_patch` has this body, followed by `sync`.
fn patcher<const N: usize>(body: [Code; N], sync: Code) -> Program {
    let all = [enter(), mov(x(19), x(0)), code(body), sync, leave_ret()];
    library([Function::new("demo_patch", all).exported(), start(by_libc(REGISTER))])
        .functions(protectors())
}

fn twins<const N: usize>(
    name: &str,
    trap: &'static str,
    level: &'static str,
    body: &dyn Fn() -> [Code; N],
) -> [LintCase; 2] {
    let expected: Expected = ("JL001", level, "demo_patch");
    pair(name, trap, expected, &patcher(body(), nop()), &patcher(body(), by_libc(SYNC_CORE)))
}

/// Memory from another function.
fn elsewhere() -> Vec<LintCase> {
    let copy = || code([mov(x(0), x(19)), mov(x(1), x(20)), load(x(2), 16), bl("memcpy")]);
    let moved = || code([add_imm(x(0), x(19), 8), load(w(1), RET), str(w(1), x(0), 4), flush()]);
    [
        twins(
            "jl001-user-hook",
            "memory of the caller is written while it is executable, through two intermediate functions",
            "warning",
            &|| [through("demo_protect_page", ALL), write(), through("demo_protect", READ_EXEC)],
        ),
        twins("jl001-user-hook-copied", "the same by memcpy()", "warning", &|| {
            [through("demo_protect", ALL), copy(), through("demo_protect", READ_EXEC)]
        }),
        twins(
            "jl001-user-hook-moved",
            "the same through a pointer that was moved",
            "warning",
            &|| [through("demo_protect", ALL), moved(), through("demo_protect", READ_EXEC)],
        ),
        twins(
            "jl001-user-replaced-elsewhere",
            "one word of the memory of a caller is replaced, and the caches maintained for it alone",
            "warning",
            &|| [protect(READ_WRITE), write(), protect(READ_EXEC)],
        ),
    ]
    .concat()
}

/// Memory that this function mapped.
fn own() -> Vec<LintCase> {
    let made = || code([map(READ_WRITE), write(), protect(READ_EXEC)]);
    let again = || code([protect(READ_WRITE), write(), protect(READ_EXEC)]);
    let publish = || code([address(x(1), "demo_slot"), stlr(x(19), x(1))]);
    let slot = |program: Program| {
        let object = Object::pointers("demo_slot", &[""]);
        program.object(object)
    };
    let published = |sync: Code| slot(patcher([made(), publish(), again()], sync));
    let direct = |protection| patcher([protect(protection), write()], by_libc(SYNC_CORE));
    let mut all = [
        twins(
            "jl001-user-executed",
            "new memory is written, executed, and written again",
            "error",
            &|| [made(), blr(x(19)), again()],
        ),
        pair(
            "jl001-user-published",
            "the same after the pointer to it was published",
            ("JL001", "error", "demo_patch"),
            &published(nop()),
            &published(by_libc(SYNC_CORE)),
        ),
        twins(
            "jl001-user-fresh-twice",
            "new memory is written twice before it is executable: fresh code",
            "note",
            &|| [made(), again()],
        ),
    ]
    .concat();
    // Two rules, two findings.
    all.push(LintCase::new(
        "jl001-user-hook-direct",
        "writable and executable at once, and not synchronised",
        &patcher([protect(ALL), write()], nop()),
        &[("JL001", "warning", "demo_patch"), ("JL011", "note", "demo_patch")],
    ));
    all.push(LintCase::new("jl001-user-hook-direct-fixed", "neither", &direct(READ_WRITE), &[]));
    all
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    [elsewhere(), own()].concat()
}
