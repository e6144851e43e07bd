//! Programs: shared libraries that change code and contain a copy of the cache maintenance of
//! libgcc.

use super::case::{Expected, LintCase, pair, sound};
use super::primitives::{NOP, maintenance};
use crate::code::asm::{
    Domain, add_imm, address, adrp, b, bl, dmb, dsb, enter, label, leave_ret, load, mov, nop,
    orr_shifted, ret, str, sub, svc, tbnz, ubfx, w, x,
};
use crate::code::{Code, Function, Program, code};

pub(super) const PAGE: u64 = 0x1000;
pub(super) const READ_WRITE: u64 = 3;
pub(super) const READ_EXEC: u64 = 5;
pub(super) const ALL: u64 = 7;
/// membarrier(2): PRIVATE_EXPEDITED, its SYNC_CORE, and the registration for that.
const FOR_DATA: u64 = 0x8;
pub(super) const SYNC_CORE: u64 = 0x20;
pub(super) const REGISTER: u64 = 0x40;
const MEMBARRIER: u64 = 283;

/// The path `demo::patch`, and a hash, as rustc mangles them.
const MANGLED: &str = "_ZN4demo5patch17h0123456789abcdefE";

/// How a program calls membarrier(2).
type Membarrier = fn(u64) -> Code;

/// Through `syscall()` of libc.
pub(super) fn by_libc(command: u64) -> Code {
    code([load(w(0), MEMBARRIER), load(w(1), command), load(w(2), 0), bl("syscall")])
}

/// By SVC.
fn by_svc(command: u64) -> Code {
    code([load(w(0), command), load(w(1), 0), load(x(8), MEMBARRIER), svc(0)])
}

/// A hidden copy of the function of libgcc.
pub(super) fn clear_cache() -> Function {
    Function::new("__clear_cache", [maintenance(dsb(Domain::Ish), dsb(Domain::Ish))])
        .local_to("libgcc2.c")
}

pub(super) fn flush() -> Code {
    code([mov(x(0), x(19)), add_imm(x(1), x(19), 4), bl("__clear_cache")])
}

/// mprotect() of the page of `demo_target`.
fn protect(protection: u64) -> Code {
    code([adrp(x(0), "demo_target"), load(x(1), PAGE), load(w(2), protection), bl("mprotect")])
}

/// Changes `demo_target`, a function of the program itself.
pub(super) fn patch_own_text(maintain: Code, sync: Code) -> Function {
    patch_own_text_in("demo_patch", maintain, sync)
}

fn patch_own_text_in(name: &str, maintain: Code, sync: Code) -> Function {
    let body = [
        enter(),
        address(x(19), "demo_target"),
        protect(READ_WRITE),
        load(w(1), NOP.into()),
        str(w(1), x(19), 0),
        maintain,
        protect(READ_EXEC),
        sync,
        leave_ret(),
    ];
    Function::new(name, body).exported()
}

/// The constructor.
pub(super) fn start(register: Code) -> Function {
    Function::new("demo_start", [enter(), register, leave_ret()]).exported()
}

/// A library of these functions, with a copy of `__clear_cache` before them and a page of
/// patched code after them.
pub(super) fn library(functions: impl IntoIterator<Item = Function>) -> Program {
    let target = Function::new("demo_target", [nop(), nop(), ret()]).local();
    let target = target.aligned(PAGE);
    Program::user().functions([clear_cache()]).functions(functions).functions([target])
}

/// A library that registers for membarrier and then changes its own text.
fn patches(maintain: Code, sync: Code, register: Code) -> Program {
    library([patch_own_text(maintain, sync), start(register)])
}

fn sound_patches() -> Program {
    patches(flush(), by_libc(SYNC_CORE), by_libc(REGISTER))
}

/// New memory of this protection, in x19.
pub(super) fn map(protection: u64) -> Code {
    code([
        load(x(0), 0),
        load(x(1), PAGE),
        load(w(2), protection),
        load(w(3), 0x22),
        load(w(4), 0xffff_ffff),
        load(x(5), 0),
        bl("mmap"),
        mov(x(19), x(0)),
    ])
}

fn unsynced() -> Vec<LintCase> {
    const EXPECTED: Expected = ("JL001", "error", "demo_patch");
    // The number of membarrier in a register that no system call uses.
    let noise = || {
        Function::new("demo_noise", [enter(), load(w(0), MEMBARRIER), bl("puts"), leave_ret()])
            .exported()
    };
    let buggy = || patches(flush(), nop(), nop()).functions([noise()]);
    let fixed = || sound_patches().functions([noise()]);
    let in_rust =
        |sync| library([patch_own_text_in(MANGLED, flush(), sync), start(by_libc(REGISTER))]);
    let emit = |sync| {
        let protect = [mov(x(0), x(19)), load(x(1), PAGE), load(w(2), READ_EXEC), bl("mprotect")];
        let write = [load(w(1), 0xd65f_03c0), str(w(1), x(19), 0), flush()];
        let body = [
            enter(),
            map(READ_WRITE),
            code(write),
            code(protect),
            sync,
            mov(x(0), x(19)),
            leave_ret(),
        ];
        library([Function::new("demo_emit", body).exported(), start(by_libc(REGISTER))])
    };
    [
        pair(
            "jl001-user",
            "a function of the program itself is changed",
            EXPECTED,
            &buggy(),
            &fixed(),
        ),
        pair(
            "jl001-user-stripped",
            "no .symtab: functions from .eh_frame and .dynsym",
            EXPECTED,
            &buggy().stripped(),
            &fixed().stripped(),
        ),
        pair(
            "jl001-user-frameless",
            "neither .symtab nor .eh_frame: functions from .dynsym and calls",
            EXPECTED,
            &buggy().stripped().without_frames(),
            &fixed().stripped().without_frames(),
        ),
        pair(
            "jl001-user-mangled",
            "the same function in Rust",
            ("JL001", "error", MANGLED),
            &in_rust(nop()),
            &in_rust(by_libc(SYNC_CORE)),
        ),
        pair(
            "jl001-user-fresh",
            "fresh code, which no PE can execute yet: a note",
            ("JL001", "note", "demo_emit"),
            &emit(nop()),
            &emit(by_libc(SYNC_CORE)),
        ),
    ]
    .concat()
}

fn maintains() -> Vec<LintCase> {
    let ish = || dsb(Domain::Ish);
    // Without another function that maintains caches.
    let write = [patch_own_text(nop(), by_libc(SYNC_CORE)), start(by_libc(REGISTER))];
    let target = Function::new("demo_target", [nop(), nop(), ret()]).local().aligned(PAGE);
    let written = Program::user().functions(write).functions([target]);
    let primitive = |middle, end| {
        let body = [maintenance(middle, end)];
        Program::user().functions([Function::new("demo_clear_cache", body).exported()])
    };
    let order = |name, trap, middle, end| {
        let expected = ("JL003", "warning", "demo_clear_cache");
        pair(name, trap, expected, &primitive(middle, end), &primitive(ish(), ish()))
    };
    let wider = "a DSB of the outer shareable domain, which contains the inner one";
    let all = [
        pair(
            "jl002-user",
            "code is written and made executable without cache maintenance",
            ("JL002", "warning", "demo_patch"),
            &written,
            &sound_patches(),
        ),
        order("jl003-before", "no DSB between DC and IC", nop(), ish()),
        order("jl003-after", "no DSB after IC", ish(), nop()),
        order("jl003-dmb", "a DMB does not wait for DC", dmb(Domain::Ish), ish()),
        order("jl003-nsh-before", "a DSB for this CPU only", dsb(Domain::Nsh), ish()),
        order("jl003-nsh-after", "the same after IC", ish(), dsb(Domain::Nsh)),
        order(
            "jl003-ishst",
            "a DSB for stores only does not complete a DC",
            dsb(Domain::Ishst),
            ish(),
        ),
    ];
    let mut all = all.concat();
    all.push(sound("jl003-osh", wider, &primitive(dsb(Domain::Osh), dsb(Domain::Osh))));
    all
}

fn membarriers() -> Vec<LintCase> {
    let expected = ("JL009", "warning", "demo_patch");
    let wrong = |name, trap, call: Membarrier| {
        let program = |command| patches(flush(), call(command), call(REGISTER));
        // Existing code is not synchronised: equivalent to no call.
        let expected = ("JL009", "error", "demo_patch");
        pair(name, trap, expected, &program(FOR_DATA), &program(SYNC_CORE))
    };
    let unregistered = |name, trap, call: Membarrier| {
        let program = |register| patches(flush(), call(SYNC_CORE), register);
        pair(name, trap, expected, &program(nop()), &program(call(REGISTER)))
    };
    [
        wrong("jl009-command", "PRIVATE_EXPEDITED orders data alone; through libc", by_libc),
        wrong("jl009-command-svc", "the same by SVC", by_svc),
        unregistered(
            "jl009-unregistered",
            "SYNC_CORE fails unless registered; through libc",
            by_libc,
        ),
        unregistered("jl009-unregistered-svc", "the same by SVC", by_svc),
    ]
    .concat()
}

/// QEMU's `tb_target_set_jmp_target()` before 8.0: from x0 (execution address), x1 (write
/// address) and x2 (target) it writes B and NOP, or else the instructions that `far` computes
/// in w4 and w5.
fn set_jump_target(far: Code) -> Program {
    let body = [
        enter(),
        mov(x(19), x(1)),
        sub(x(3), x(2), x(0)),
        tbnz(x(3), 27, "far"),
        ubfx(x(3), x(3), 2, 26),
        load(w(4), 0x1400_0000),
        orr_shifted(x(4), x(4), x(3), 0),
        load(w(5), NOP.into()),
        b("write"),
        label("far"),
        far,
        label("write"),
        orr_shifted(x(4), x(4), x(5), 32),
        str(x(4), x(19), 0),
        flush(),
        by_libc(SYNC_CORE),
        leave_ret(),
    ];
    let set = Function::new("tb_target_set_jmp_target", body).exported();
    library([set, start(by_libc(REGISTER))])
}

fn modifiable() -> [LintCase; 2] {
    // adrp x30 and add x30, x30.
    let pair_of_words = code([load(w(4), 0x9000_001e), load(w(5), 0x9100_03de)]);
    pair(
        "jl007-adrp-add",
        "ADRP and ADD are written over B and NOP while other threads execute them",
        ("JL007", "warning", "tb_target_set_jmp_target"),
        &set_jump_target(pair_of_words),
        &set_jump_target(code([load(w(4), NOP.into()), load(w(5), NOP.into())])),
    )
}

fn protections() -> Vec<LintCase> {
    let mapping = |protection| {
        let body = [enter(), map(protection), leave_ret()];
        Program::user().functions([Function::new("demo_map", body).exported()])
    };
    let protect = |protection| {
        let call = [load(x(1), PAGE), load(w(2), protection), bl("mprotect")];
        let body = [enter(), code(call), leave_ret()];
        Program::user().functions([Function::new("demo_protect", body).exported()])
    };
    [
        pair(
            "jl011-mmap",
            "memory that is writable and executable at once",
            ("JL011", "note", "demo_map"),
            &mapping(ALL),
            &mapping(READ_WRITE),
        ),
        pair(
            "jl011-mprotect",
            "the same by mprotect",
            ("JL011", "note", "demo_protect"),
            &protect(ALL),
            &protect(READ_EXEC),
        ),
    ]
    .concat()
}

/// A function that stores one word and flushes it, as short as one that only flushes.
fn short_writer() -> [LintCase; 2] {
    let program = |sync: Code| {
        let flush = [add_imm(x(1), x(0), 4), bl("__clear_cache")];
        let body = [enter(), str(w(1), x(0), 0), code(flush), sync, leave_ret()];
        library([Function::new("demo_write", body).exported(), start(by_libc(REGISTER))])
    };
    pair(
        "jl001-user-short-writer",
        "a function that stores is more than a name for the maintenance",
        ("JL001", "warning", "demo_write"),
        &program(nop()),
        &program(by_libc(SYNC_CORE)),
    )
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let body = [enter(), bl("puts"), leave_ret()];
    let nothing = Program::user().functions([Function::new("demo_print", body).exported()]);
    let trap = "nothing writes code: not applicable, as opposed to sound";
    let mut all = [
        unsynced(),
        maintains(),
        membarriers(),
        modifiable().into(),
        short_writer().into(),
        protections(),
    ]
    .concat();
    all.push(sound("user-without-code", trap, &nothing));
    all
}
