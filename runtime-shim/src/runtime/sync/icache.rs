//! Cache maintenance: the part of a patch that makes stores to code visible to instruction
//! fetch, before the other PEs synchronise their context.

#![allow(unsafe_code, reason = "cache maintenance instructions")]

/// Makes stores to code visible to the instruction fetch of all PEs, and of this PE at once.
/// The other PEs still have to synchronise their context.
///
/// `lines` yields the addresses of the cache lines that hold the code, for lines of the given
/// number of bytes.  All of them are mapped.
///
/// Arm ARM (DDI 0487) B2.7.4.2, and "Ordering and completion of data and instruction cache
/// instructions": clean each line to the point of unification, wait, invalidate, wait, and
/// synchronise this PE.  CTR_EL0 is read each time: on big.LITTLE machines it may differ
/// between PEs, and the kernel then traps the read and reports the smallest lines.
#[cfg(target_arch = "aarch64")]
pub(crate) fn make_visible<L: Iterator<Item = usize>>(lines: impl Fn(usize) -> L) {
    use core::arch::asm;
    let ctr: u64;
    // SAFETY: CTR_EL0 can be read at EL0 (Linux sets SCTLR_EL1.UCT, or emulates it).
    unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
    let line = |log2_words: u64| 4usize << (log2_words & 0xf);
    let (is_idc, is_dic) = (ctr >> 28 & 1 != 0, ctr >> 29 & 1 != 0);
    if !is_idc {
        for at in lines(line(ctr >> 16)) {
            // SAFETY: the line is mapped; Linux permits DC CVAU at EL0.
            unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        }
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    if !is_dic {
        for at in lines(line(ctr)) {
            // SAFETY: the line is mapped; Linux permits IC IVAU at EL0.
            unsafe { asm!("ic ivau, {}", in(reg) at, options(nostack, preserves_flags)) };
        }
        // SAFETY: a barrier.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// x86-64 keeps instruction fetch coherent with stores (Intel SDM volume 3, "Self-Modifying
/// Code"): only the compiler has to keep the order of the stores.
#[cfg(target_arch = "x86_64")]
pub(crate) fn make_visible<L: Iterator<Item = usize>>(_lines: impl Fn(usize) -> L) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// RISC-V (unprivileged ISA, "Zifencei"): FENCE.I of this hart; the final synchronisation
/// executes one on every other hart.
#[cfg(target_arch = "riscv64")]
pub(crate) fn make_visible<L: Iterator<Item = usize>>(_lines: impl Fn(usize) -> L) {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("fence rw, rw", "fence.i", options(nostack, preserves_flags)) };
}
