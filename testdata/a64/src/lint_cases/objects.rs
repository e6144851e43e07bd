//! Object files of programs, which are read through their relocations.

use super::case::{LintCase, pair, sound};
use super::user::{
    PAGE, READ_EXEC, READ_WRITE, REGISTER, SYNC_CORE, by_libc, clear_cache, flush, map, start,
};
use crate::code::asm::{
    add_imm, address, address_by_got, adrp, bl, enter, ldr, leave_ret, load, mov, nop, ret, str,
    str_lo12, w, x,
};
use crate::code::{Code, Function, Object, ObjectSection, Program, code};

/// mmap() of new memory, and a counter in `.data` that `count` increments.
fn counts(count: Code) -> Program {
    let body = [enter(), map(READ_WRITE), count, leave_ret()];
    Program::object_file()
        .functions([Function::new("demo_map", body).exported()])
        .object(Object::bytes("demo_count", ObjectSection::Data, &[0; 8]))
}

/// A change of `demo_target`, whose address is in x19 after `target`.
fn patches(target: Code, sync: Code) -> Program {
    let protect = |protection| {
        code([mov(x(0), x(19)), load(x(1), PAGE), load(w(2), protection), bl("mprotect")])
    };
    let body = [
        enter(),
        target,
        protect(READ_WRITE),
        load(w(1), 0xd503_201f),
        str(w(1), x(19), 4),
        flush(),
        protect(READ_EXEC),
        sync,
        leave_ret(),
    ];
    let target = Function::new("demo_target", [nop(), nop(), ret()]).exported();
    Program::object_file()
        .functions([clear_cache(), Function::new("demo_patch", body).exported()])
        .functions([start(by_libc(REGISTER)), target.aligned(PAGE)])
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let expected = ("JL001", "error", "demo_patch");
    let both = |name, trap, target: fn() -> Code| {
        let program = |sync| patches(target(), sync);
        pair(name, trap, expected, &program(nop()), &program(by_libc(SYNC_CORE)))
    };
    let near = [adrp(x(8), "demo_count"), load(w(1), 1), str_lo12(w(1), x(8), "demo_count")];
    let by_got = [address_by_got(x(8), "demo_count"), ldr(w(1), x(8), 0), add_imm(w(1), w(1), 1)];
    let by_got = [code(by_got), str(w(1), x(8), 0)];
    let mut all = vec![
        sound(
            "user-object-counter",
            "before relocation, ADRP makes an address in .text",
            &counts(code(near)),
        ),
        sound(
            "user-object-counter-got",
            "the address of an entry in the GOT is not known",
            &counts(code(by_got)),
        ),
    ];
    let pairs = [
        both("jl001-user-object", "ADRP and ADD have relocations", || {
            address(x(19), "demo_target")
        }),
        both(
            "jl001-user-object-got",
            "the entry in the GOT holds the address of the function",
            || address_by_got(x(19), "demo_target"),
        ),
    ];
    all.extend(pairs.concat());
    all
}
