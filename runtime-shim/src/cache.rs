//! Makes stores to code visible to instruction fetch, as far as that is not the sync's part.

#![allow(unsafe_code, reason = "cache maintenance instructions")]

use crate::code::Patch;

/// Makes `patches`, in order of address, visible to the instruction fetch of all PEs, and of
/// this one at once.  The others still have to synchronise their context.
///
/// Arm ARM (DDI 0487) B2.7.4.2, and "Ordering and completion of data and instruction cache
/// instructions": clean each line to the point of unification, wait, invalidate, wait, and
/// synchronise this PE.  CTR_EL0 is read each time: on big.LITTLE machines it may differ
/// between PEs, and the kernel traps it then to give the smallest lines.
#[cfg(target_arch = "aarch64")]
pub(crate) fn make_visible(patches: &[Patch]) {
    use core::arch::asm;
    let ctr: u64;
    // SAFETY: CTR_EL0 can be read at EL0 (Linux sets SCTLR_EL1.UCT, or emulates it).
    unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
    let line = |log2_words: u64| 4usize << (log2_words & 0xf);
    let (is_idc, is_dic) = (ctr >> 28 & 1 != 0, ctr >> 29 & 1 != 0);
    if !is_idc {
        for_each_line(patches, line(ctr >> 16), |at| {
            // SAFETY: the line holds a site, which is mapped; Linux permits DC CVAU at EL0.
            unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        });
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    if !is_dic {
        for_each_line(patches, line(ctr), |at| {
            // SAFETY: the line holds a site, which is mapped; Linux permits IC IVAU at EL0.
            unsafe { asm!("ic ivau, {}", in(reg) at, options(nostack, preserves_flags)) };
        });
        // SAFETY: a barrier.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// Calls `maintain` with each line of `bytes` bytes that holds one of `patches`, once.
#[cfg(any(target_arch = "aarch64", test))]
fn for_each_line(patches: &[Patch], bytes: usize, mut maintain: impl FnMut(usize)) {
    let mut last = None;
    for patch in patches {
        let line = patch.site & !(bytes - 1);
        if last != Some(line) {
            maintain(line);
            last = Some(line);
        }
    }
}

/// x86-64 keeps instruction fetch coherent with stores (Intel SDM volume 3, "Self-Modifying
/// Code"): only the order of stores is left to the compiler.
#[cfg(target_arch = "x86_64")]
pub(crate) fn make_visible(_patches: &[Patch]) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// RISC-V (unprivileged ISA, "Zifencei"): FENCE.I of this hart; the others' is the sync.
#[cfg(target_arch = "riscv64")]
pub(crate) fn make_visible(_patches: &[Patch]) {
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("fence rw, rw", "fence.i", options(nostack, preserves_flags)) };
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::insn::InsnBytes;
    use std::vec::Vec;

    #[test]
    fn each_line_once() {
        let insn = InsnBytes::from_word(0);
        let patches =
            [0x1000, 0x1004, 0x103c, 0x1040, 0x2000].map(|site| Patch { site, key: 0, old: insn, new: insn });
        let mut lines = Vec::new();
        for_each_line(&patches, 64, |line| lines.push(line));
        assert_eq!(lines, [0x1000, 0x1040, 0x2000]);
    }
}
