//! The code at a site: reading and verifying it, and the one store that changes it.
//!
//! Each architecture's module states which stores are safe while other threads execute the site.

#![allow(unsafe_code, reason = "reads and writes code by address")]

use crate::abi::JumpLabelType;
use crate::insn::InsnBytes;
use crate::runtime::error::Error;
use crate::runtime::patching::table::Site;
use crate::runtime::sync::icache;

/// The change of one site by a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Address of the site.
    pub(crate) site: usize,
    /// Address of its key.
    pub(crate) key: usize,
    /// The present code.
    pub(crate) old: InsnBytes,
    /// The code to be written.
    pub(crate) new: InsnBytes,
}

impl Patch {
    /// The patch that undoes this one.
    pub(crate) const fn reversed(self) -> Self {
        Self { old: self.new, new: self.old, ..self }
    }
}

/// Makes `patches`, sorted by address, visible to instruction fetch.
pub(crate) fn make_visible(patches: &[Patch]) {
    icache::make_visible(|bytes| lines_of(patches, bytes));
}

/// The addresses of the cache lines of `bytes` bytes that contain `patches`, each once.
fn lines_of(patches: &[Patch], bytes: usize) -> impl Iterator<Item = usize> {
    let mut last = None;
    let lines = patches.iter().map(move |patch| patch.site & !(bytes - 1));
    lines.filter(move |line| last.replace(*line) != Some(*line))
}

/// The patch of `site`, which holds the instruction `from`, to the instruction `to`.
///
/// # Errors
/// If the site holds other code, if one of the instructions has no encoding, or if one store
/// cannot write the site.
///
/// # Safety
/// The [unit](UNIT) around `site.code` is readable.
pub(crate) unsafe fn patch(
    site: Site,
    from: JumpLabelType,
    to: JumpLabelType,
) -> Result<Patch, Error> {
    let (key, at) = (site.key, site.code);
    // SAFETY: the caller's promise.
    let found = unsafe { isa::read(at) };
    let old = isa::encode(site, from, found)?;
    let new = isa::encode(site, to, found)?;
    let found = isa::insn_of(found, old);
    if !isa::is_writable_at_once(at, old) {
        return Err(Error::Alignment { site: at, key, unit: UNIT });
    }
    if found != old {
        return Err(Error::UnexpectedCode { site: at, key, found, expected: old });
    }
    Ok(Patch { site: at, key, old, new })
}

pub(crate) use isa::{UNIT, store};

/// Instructions of one aligned word, changed by one store of 32 bits.
///
/// A64, Arm ARM (DDI 0487) B2.2.5: NOP and B may replace one another while other PEs execute
/// them; each PE executes the old or the new instruction.  RV64: NOP and JAL of four bytes, as
/// Linux `arch/riscv/kernel/patch.c` writes them.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
mod isa {
    use super::{Error, InsnBytes, JumpLabelType, Patch, Site};
    #[cfg(target_arch = "aarch64")]
    use crate::insn::aarch64 as insn;
    #[cfg(target_arch = "riscv64")]
    use crate::insn::riscv64 as insn;
    use core::ptr;
    use core::sync::atomic::{AtomicU32, Ordering};

    pub(super) fn encode(
        site: Site,
        wanted: JumpLabelType,
        _found: [u8; 8],
    ) -> Result<InsnBytes, Error> {
        let word = match wanted {
            JumpLabelType::Nop => insn::NOP,
            JumpLabelType::Jmp => insn::jump(site.code as u64, site.target as u64)?,
        };
        Ok(InsnBytes::from_word(word))
    }

    /// Number of bytes that one store writes.
    pub(crate) const UNIT: usize = 4;

    /// # Safety
    /// The word at `at` is readable, if `at` is aligned.
    pub(super) unsafe fn read(at: usize) -> [u8; 8] {
        let mut bytes = [0; 8];
        if is_aligned(at) {
            // SAFETY: the caller's promise; all stores to code are of whole words.
            let word = unsafe { AtomicU32::from_ptr(ptr::with_exposed_provenance_mut(at)) };
            bytes[..4].copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes
    }

    pub(super) fn insn_of(found: [u8; 8], _like: InsnBytes) -> InsnBytes {
        let [a, b, c, d, ..] = found;
        InsnBytes::from_word(u32::from_le_bytes([a, b, c, d]))
    }

    pub(super) fn is_writable_at_once(at: usize, _insn: InsnBytes) -> bool {
        is_aligned(at)
    }

    fn is_aligned(at: usize) -> bool {
        at.is_multiple_of(UNIT)
    }

    /// Stores the new code.  Returns false, and stores nothing, if the site no longer holds the
    /// old code.
    ///
    /// # Safety
    /// The page of the site is writable.
    pub(crate) unsafe fn store(patch: &Patch) -> bool {
        let word_of = |insn: InsnBytes| match *insn.as_slice() {
            [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d])),
            _ => None,
        };
        let (Some(old), Some(new)) = (word_of(patch.old), word_of(patch.new)) else {
            return false;
        };
        // SAFETY: the caller's promise; `patch` has checked the alignment.
        let word = unsafe { AtomicU32::from_ptr(ptr::with_exposed_provenance_mut(patch.site)) };
        if word.load(Ordering::Relaxed) != old {
            return false;
        }
        word.store(new, Ordering::Release);
        true
    }
}

/// x86-64.  The site lies in one aligned word of eight bytes, which is compared and swapped as a
/// whole: bytes around the site that something else writes (a debugger's int3) are kept, and
/// other threads fetch the old or the new instruction.  Intel's manual does not guarantee this
/// (SDM volume 3, "Handling Self- and Cross-Modifying Code"); AMD and Intel processors behave so,
/// and other software relies on it.
#[cfg(target_arch = "x86_64")]
mod isa {
    use super::{Error, InsnBytes, JumpLabelType, Patch, Site};
    use crate::insn::x86_64 as x86;
    use core::ptr;
    use core::sync::atomic::{AtomicU64, Ordering};

    /// Number of bytes that one store writes.
    pub(crate) const UNIT: usize = 8;

    const fn unit_of(at: usize) -> usize {
        at & !(UNIT - 1)
    }

    /// The bytes from `at` to the end of its unit, followed by zeroes.
    ///
    /// # Safety
    /// The unit is readable.
    pub(super) unsafe fn read(at: usize) -> [u8; 8] {
        let unit = ptr::with_exposed_provenance_mut(unit_of(at));
        // SAFETY: the caller's promise, and the unit is aligned.
        let word = unsafe { AtomicU64::from_ptr(unit) }.load(Ordering::Relaxed);
        (word >> (8 * (at - unit_of(at)))).to_le_bytes()
    }

    /// The length of a site: that of the instruction which it holds, as in Linux
    /// `arch/x86/kernel/jump_label.c`.
    const fn length(found: [u8; 8]) -> usize {
        match found {
            [first, second, ..]
                if first == x86::JMP_REL8 || (first == x86::NOP2[0] && second == x86::NOP2[1]) =>
            {
                x86::SHORT_BYTES
            }
            _ => x86::LONG_BYTES,
        }
    }

    pub(super) fn encode(
        site: Site,
        wanted: JumpLabelType,
        found: [u8; 8],
    ) -> Result<InsnBytes, Error> {
        let (from, to, len) = (site.code as u64, site.target as u64, length(found));
        Ok(match wanted {
            JumpLabelType::Nop => x86::nop(from, len)?,
            JumpLabelType::Jmp => x86::jump(from, to, len)?,
        })
    }

    pub(super) fn insn_of(found: [u8; 8], like: InsnBytes) -> InsnBytes {
        let [a, b, c, d, e, ..] = found;
        match like.as_slice().len() {
            x86::SHORT_BYTES => InsnBytes::from_two([a, b]),
            _ => InsnBytes::from_five([a, b, c, d, e]),
        }
    }

    pub(super) fn is_writable_at_once(at: usize, insn: InsnBytes) -> bool {
        at - unit_of(at) + insn.as_slice().len() <= UNIT
    }

    /// Stores the new code.  Returns false, and stores nothing, if the site no longer holds the
    /// old code.
    ///
    /// # Safety
    /// The page of the site is writable.
    pub(crate) unsafe fn store(patch: &Patch) -> bool {
        let unit = ptr::with_exposed_provenance_mut(unit_of(patch.site));
        // SAFETY: the caller's promise, and the unit is aligned.
        let word = unsafe { AtomicU64::from_ptr(unit) };
        let offset = patch.site - unit_of(patch.site);
        let change = |word: u64| {
            let mut bytes = word.to_le_bytes();
            let there = bytes.get_mut(offset..offset + patch.old.as_slice().len())?;
            if *there != *patch.old.as_slice() {
                return None;
            }
            there.copy_from_slice(patch.new.as_slice());
            Some(u64::from_le_bytes(bytes))
        };
        word.fetch_update(Ordering::Release, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_cache_line_is_maintained_once() {
        let insn = InsnBytes::from_word(0);
        let patches = [0x1000, 0x1004, 0x103c, 0x1040, 0x2000].map(|site| Patch {
            site,
            key: 0,
            old: insn,
            new: insn,
        });
        assert_eq!(lines_of(&patches, 64).collect::<Vec<_>>(), [0x1000, 0x1040, 0x2000]);
    }
}
