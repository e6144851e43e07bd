//! JL001 and synchronisations that are skipped if nothing was patched: the condition is a
//! result, a count, a flag or a parameter.

use super::case::{Expected, LintCase, pair};
use super::primitives::{demo, entries, kernel, kick, patch};
use crate::code::asm::{
    Cond, add_imm, address, b, b_cond, bl, cbnz, cbz, cmp_imm, enter, label, ldr, leave_ret, load,
    mov, nop, ret, str, sub_imm, tbz, w, x,
};
use crate::code::{Code, Function, Program, code};

const UNSYNCED: Expected = ("JL001", "error", "demo_patch");

/// `demo_patch` patches unless x0 is zero, and returns `result` in w0 if it did, else zero;
/// `demo_caller` continues with `rest`.
fn by_result(result: Code, rest: Code) -> Program {
    let patch = [
        enter(),
        cbz(x(0), "none"),
        patch(),
        result,
        leave_ret(),
        label("none"),
        load(w(0), 0),
        leave_ret(),
    ];
    kernel([
        Function::new("demo_patch", patch).local(),
        Function::new("demo_caller", [enter(), bl("demo_patch"), rest]).local(),
    ])
    .functions(entries("demo_caller"))
}

fn results() -> Vec<LintCase> {
    let one = || load(w(0), 1);
    let end = || code([kick(), label("out"), leave_ret()]);
    let unless_zero = || code([cbz(w(0), "out"), end()]);
    let compared = |condition| code([cmp_imm(w(0), 0), b_cond(condition, "out"), end()]);
    let kept = |test| code([mov(w(19), w(0)), bl("do_nothing_here"), test, end()]);
    let helper = |program: Program| {
        program.functions([Function::new("do_nothing_here", [nop(), ret()]).local()])
    };
    [
        pair(
            "jl001-guard-result",
            "the synchronisation depends on the result of the patcher: incorrectly, correctly",
            UNSYNCED,
            &by_result(one(), code([cbnz(w(0), "out"), end()])),
            &by_result(one(), unless_zero()),
        ),
        pair(
            "jl001-guard-result-lies",
            "the result is zero even if the function patched",
            UNSYNCED,
            &by_result(load(w(0), 0), unless_zero()),
            &by_result(one(), unless_zero()),
        ),
        pair(
            "jl001-guard-compare",
            "the same by a comparison",
            UNSYNCED,
            &by_result(one(), compared(Cond::Ne)),
            &by_result(one(), compared(Cond::Eq)),
        ),
        pair(
            "jl001-guard-bit",
            "the lowest bit of the result is tested, which is set or clear",
            UNSYNCED,
            &by_result(load(w(0), 2), code([tbz(w(0), 0, "out"), end()])),
            &by_result(one(), code([tbz(w(0), 0, "out"), end()])),
        ),
        pair(
            "jl001-guard-kept",
            "the result is saved across another call: another register is tested, or the saved one",
            UNSYNCED,
            &helper(by_result(one(), kept(cbz(w(20), "out")))),
            &helper(by_result(one(), kept(cbz(w(19), "out")))),
        ),
    ]
    .concat()
}

/// A loop that patches if a word is set, and counts the patches in w20; `end` follows the loop.
fn counted(step: Code, end: Code) -> [Code; 5] {
    let begin = code([enter(), mov(x(19), x(0)), load(w(20), 0), label("next")]);
    let check = code([cbz(x(19), "done"), ldr(w(1), x(19), 8), ldr(x(19), x(19), 0)]);
    let each = code([cbz(w(1), "next"), patch(), step, b("next")]);
    [begin, check, each, label("done"), code([end, label("out"), leave_ret()])]
}

fn counts() -> Vec<LintCase> {
    let count = || add_imm(w(20), w(20), 1);
    let all = |step: Code, end: Code| demo(counted(step, end));
    let kick_if = |test: Code| {
        let apply = [enter(), test, kick(), label("out"), leave_ret()];
        move |program: Program| program.functions([Function::new("demo_kick_if", apply).local()])
    };
    let by_call = || code([mov(w(0), w(20)), bl("demo_kick_if")]);
    [
        pair(
            "jl001-guard-count",
            "a count of patches, compared with one instead of zero",
            UNSYNCED,
            &all(count(), code([cmp_imm(w(20), 1), b_cond(Cond::Eq, "out"), kick()])),
            &all(count(), code([cbz(w(20), "out"), kick()])),
        ),
        pair(
            "jl001-guard-count-down",
            "a count that other steps reset to zero",
            UNSYNCED,
            &all(code([count(), sub_imm(w(20), w(20), 1)]), code([cbz(w(20), "out"), kick()])),
            &all(load(w(20), 1), code([cbz(w(20), "out"), kick()])),
        ),
        pair(
            "jl001-guard-parameter",
            "a function that synchronises if its parameter is not zero, and one if it is",
            UNSYNCED,
            &kick_if(cbnz(w(0), "out"))(all(count(), by_call())),
            &kick_if(cbz(w(0), "out"))(all(count(), by_call())),
        ),
    ]
    .concat()
}

/// A word of data that is set while a patch is pending.
fn flagged(store: Code, before: Code, test: Code) -> Program {
    let flag = || address(x(1), "demo_state");
    let set = [enter(), patch(), flag(), load(w(2), 1), store, leave_ret()];
    let apply = [
        enter(),
        flag(),
        ldr(w(2), x(1), 0),
        test,
        str(w(31), x(1), 0),
        kick(),
        label("out"),
        leave_ret(),
    ];
    let caller = [enter(), bl("demo_patch"), before, bl("demo_apply"), leave_ret()];
    kernel([
        Function::new("demo_patch", set).local(),
        Function::new("demo_apply", apply).local(),
        Function::new("demo_other", [address(x(1), "demo_state"), str(w(31), x(1), 0), ret()])
            .local(),
        Function::new("demo_caller", caller).local(),
    ])
    .functions(entries("demo_caller"))
}

fn flags() -> Vec<LintCase> {
    let set = || str(w(2), x(1), 0);
    let test = || cbz(w(2), "out");
    [
        pair(
            "jl001-guard-flag",
            "a flag that the patcher sets is tested before the synchronisation: incorrectly, correctly",
            UNSYNCED,
            &flagged(set(), nop(), cbnz(w(2), "out")),
            &flagged(set(), nop(), test()),
        ),
        pair(
            "jl001-guard-flag-elsewhere",
            "the flag that is set is not the one that is tested",
            UNSYNCED,
            &flagged(str(w(2), x(1), 8), nop(), test()),
            &flagged(set(), nop(), test()),
        ),
        pair(
            "jl001-guard-flag-cleared",
            "another function clears the flag in between",
            UNSYNCED,
            &flagged(set(), bl("demo_other"), test()),
            &flagged(set(), nop(), test()),
        ),
    ]
    .concat()
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    [results(), counts(), flags()].concat()
}
