//! The kernel's primitives in miniature: the same operations under the names of Linux 5.10 on
//! arm64.

use crate::code::asm::{
    Cond, Domain, FP, LR, SP, add, add_imm, address, b, b_cond, bic, bl, blr, cbnz, cbz, cmp,
    dc_cvau, dmb, dsb, enter, ic_ivau, isb, label, ldp_post, ldr, leave_ret, load, lsl, mov,
    mrs_ctr, msr_sgi1r, nop, ret, stp, stp_pre, str, sub_imm, tbnz, ubfx, w, x,
};
use crate::code::{Code, Function, Object, ObjectSection, Program, code};

/// The word of NOP.
pub(super) const NOP: u32 = 0xd503_201f;
/// The file of the primitives.
const FILE: &str = "insn.c";

/// DC CVAU over the lines of x0 to x1, `middle`, IC IVAU over them, `end`, and an ISB.
pub(super) fn maintenance(middle: Code, end: Code) -> Code {
    let lines = |name: &str, first: u32, operation: Code| {
        let start = format!("{name}_loop");
        code([
            mrs_ctr(x(3)),
            ubfx(x(3), x(3), first, 4),
            load(x(2), 4),
            lsl(x(2), x(2), x(3)),
            sub_imm(x(3), x(2), 1),
            bic(x(4), x(0), x(3)),
            label(&start),
            operation,
            add(x(4), x(4), x(2)),
            cmp(x(4), x(1)),
            b_cond(Cond::Lo, &start),
        ])
    };
    code([lines("dc", 16, dc_cvau(x(4))), middle, lines("ic", 0, ic_ivau(x(4))), end, isb(), ret()])
}

/// A kernel that has the primitives, followed by these functions.
pub(super) fn kernel(functions: impl IntoIterator<Item = Function>) -> Program {
    Program::kernel()
        .functions(primitives())
        .functions([Function::new("demo_target", [nop(), nop(), nop(), nop(), ret()]).local()])
        .functions(functions)
        .object(Object::bytes("cfd_pending", ObjectSection::Data, &[0; 16]))
        .object(Object::bytes("__cpu_online_mask", ObjectSection::Data, &[0xff; 8]))
        .object(Object::bytes("demo_state", ObjectSection::Data, &[0; 16]))
}

/// A kernel with the local function `demo_patch` of this body, a system call and an
/// exported function that call it.
pub(super) fn demo(body: impl IntoIterator<Item = Code>) -> Program {
    kernel([Function::new("demo_patch", body).local()]).functions(entries("demo_patch"))
}

/// Two entry points of a kernel that call `function`.
pub(super) fn entries(function: &str) -> [Function; 2] {
    [
        Function::new("__arm64_sys_demo", [enter(), bl(function), load(x(0), 0), leave_ret()]),
        Function::new("demo_enable", [enter(), bl(function), leave_ret()]).exported(),
    ]
}

/// A call of the primitive that writes this word to `demo_target`.
pub(super) fn patch_with(word: u32) -> Code {
    code([
        address(x(0), "demo_target"),
        load(w(1), word.into()),
        bl("aarch64_insn_patch_text_nosync"),
    ])
}

/// A call of the primitive that patches in a NOP.
pub(super) fn patch() -> Code {
    patch_with(NOP)
}

/// The synchronisation of all other CPUs.
pub(super) fn kick() -> Code {
    bl("kick_all_cpus_sync")
}

/// Every primitive.
fn primitives() -> Vec<Function> {
    let ish = || dsb(Domain::Ish);
    vec![
        Function::new("__flush_icache_range", [maintenance(ish(), ish())]),
        // The alias in the fixmap through which read-only text is written.
        Function::new("patch_map", [add_imm(x(0), x(0), 0), ret()]).local_to(FILE),
        Function::new(
            "__aarch64_insn_write",
            [
                enter(),
                mov(w(19), w(1)),
                bl("patch_map"),
                str(w(19), x(0), 0),
                load(w(0), 0),
                leave_ret(),
            ],
        )
        .local_to(FILE),
        Function::new(
            "aarch64_insn_patch_text_nosync",
            [
                enter(),
                mov(x(19), x(0)),
                tbnz(w(0), 0, "einval"),
                bl("__aarch64_insn_write"),
                cbnz(w(0), "out"),
                mov(x(0), x(19)),
                add_imm(x(1), x(19), 4),
                bl("__flush_icache_range"),
                load(w(0), 0),
                b("out"),
                label("einval"),
                load(w(0), 22),
                label("out"),
                leave_ret(),
            ],
        )
        .in_file(FILE),
        // A CPU that takes the interrupt observes everything before it.
        Function::new(
            "arch_send_call_function_ipi_mask",
            [dsb(Domain::Ishst), load(x(1), 1 << 40), msr_sgi1r(x(1)), isb(), ret()],
        )
        .local_to("smp.c"),
        Function::new(
            "smp_call_function",
            [
                enter(),
                mov(w(19), w(2)),
                address(x(20), "cfd_pending"),
                str(x(0), x(20), 8),
                bl("arch_send_call_function_ipi_mask"),
                cbz(w(19), "out"),
                label("wait"),
                ldr(w(0), x(20), 0),
                cbnz(w(0), "wait"),
                label("out"),
                leave_ret(),
            ],
        )
        .in_file("smp.c"),
        Function::new("do_nothing", [ret()]).local_to("smp.c"),
        Function::new(
            "kick_all_cpus_sync",
            [
                stp_pre((FP, LR), SP, -16),
                mov(FP, SP),
                dmb(Domain::Ish),
                address(x(0), "do_nothing"),
                load(x(1), 0),
                load(w(2), 1),
                bl("smp_call_function"),
                ldp_post((FP, LR), SP, 16),
                ret(),
            ],
        )
        .in_file("smp.c")
        .exported(),
        // Every CPU runs the callback and continues without an ISB.
        Function::new(
            "multi_cpu_stop",
            [
                enter(),
                mov(x(19), x(0)),
                ldr(x(1), x(19), 0),
                ldr(x(0), x(19), 8),
                blr(x(1)),
                label("ack"),
                ldr(w(1), x(19), 16),
                cbnz(w(1), "ack"),
                leave_ret(),
            ],
        )
        .local_to("stop_machine.c"),
        Function::new(
            "stop_machine",
            [
                stp_pre((FP, LR), SP, -64),
                mov(FP, SP),
                stp((x(0), x(1)), SP, 16),
                str(x(31), SP, 32),
                add_imm(x(0), SP, 16),
                bl("multi_cpu_stop"),
                ldp_post((FP, LR), SP, 64),
                ret(),
            ],
        )
        .in_file("stop_machine.c"),
        Function::new("panic", [label("spin"), nop(), b("spin")]).in_file("panic.c"),
    ]
}
