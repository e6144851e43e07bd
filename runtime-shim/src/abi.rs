//! Layout of jump entries and static keys, and the truth table of a site.
//!
//! The source of all definitions is Linux 6.12 `include/linux/jump_label.h` and
//! `kernel/jump_label.c`.  The layout is that of LP64 kernels.  User programs that link the
//! shim have the same layout, so that one reader serves kernels and programs.

/// A self-relative jump entry as it lies in the jump table (16 bytes on LP64).
///
/// Every field is a displacement in bytes from the address of *that field*.
/// The byte order is that of the image.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeEntry {
    /// Displacement of the patched instruction.
    pub code: i32,
    /// Displacement of the instruction that a JMP at `code` branches to.
    pub target: i32,
    /// Displacement of the key, with the two flag bits ([`ENTRY_BRANCH`],
    /// [`ENTRY_INIT`]) in its low bits.  Mask them *before* you add the address.
    pub key: i64,
}

impl RelativeEntry {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// Offset of `code` in the entry, in bytes.
    pub const CODE: usize = core::mem::offset_of!(Self, code);
    /// Offset of `target` in the entry, in bytes.
    pub const TARGET: usize = core::mem::offset_of!(Self, target);
    /// Offset of `key` in the entry, in bytes.
    pub const KEY: usize = core::mem::offset_of!(Self, key);
}

/// An absolute jump entry of a 64-bit image (24 bytes): arm64 kernels up to Linux 4.19, and
/// user programs that store pointers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsoluteEntry {
    /// Address of the patched instruction.
    pub code: u64,
    /// Address that a JMP at `code` branches to.
    pub target: u64,
    /// Address of the key, with the flag bits in its low bits.
    pub key: u64,
}

impl AbsoluteEntry {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// Offset of `code` in the entry, in bytes.
    pub const CODE: usize = core::mem::offset_of!(Self, code);
    /// Offset of `target` in the entry, in bytes.
    pub const TARGET: usize = core::mem::offset_of!(Self, target);
    /// Offset of `key` in the entry, in bytes.
    pub const KEY: usize = core::mem::offset_of!(Self, key);
}

/// Lowest bit of an entry's key word: the branch sense, 1 for *likely*.
pub const ENTRY_BRANCH: u64 = 1;
/// Second bit of an entry's key word.  A running kernel sets it for sites in init text.  On
/// disk it has no meaning on arm64.
pub const ENTRY_INIT: u64 = 2;
/// Both flag bits of an entry's key word.
pub const ENTRY_FLAGS: u64 = ENTRY_BRANCH | ENTRY_INIT;

/// Bit of a static key's `type` word: the key was defined true.
pub const KEY_TYPE_TRUE: u64 = 1;
/// Bit of a static key's `type` word: the pointer in that word is the list of the modules
/// that use the key.
pub const KEY_TYPE_LINKED: u64 = 2;

/// A static key as it lies in memory on LP64 (16 bytes).
///
/// The second word is `type` on disk.  At run time the same word is a pointer whose low bits
/// hold [`KEY_TYPE_TRUE`] and [`KEY_TYPE_LINKED`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticKey {
    /// Number of enables; 0 is off, −1 means that the first enable is in progress.
    pub enabled: i32,
    /// Type bits; at run time ORed into a pointer.
    pub r#type: u64,
}

impl StaticKey {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
    /// Alignment in bytes.  It leaves the low bits of a key's address to the flags of an
    /// entry's key word.
    pub const ALIGN: usize = align_of::<Self>();
    /// Offset of `enabled`, in bytes.
    pub const ENABLED: usize = core::mem::offset_of!(Self, enabled);
    /// Offset of `type`, in bytes.
    pub const TYPE: usize = core::mem::offset_of!(Self, r#type);

    /// Whether a key with the count `enabled` is on: any count except zero, −1 included.
    #[must_use]
    pub const fn is_on(enabled: i32) -> bool {
        enabled != 0
    }

    /// Whether the `type` word of a key states that the key was defined true.
    #[must_use]
    pub const fn is_initially_true(r#type: u64) -> bool {
        r#type & KEY_TYPE_TRUE != 0
    }
}

/// The instruction that a site executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JumpLabelType {
    /// Falls through.
    Nop,
    /// Branches to the target of the entry.
    Jmp,
}

impl JumpLabelType {
    /// The instruction that a site must hold: JMP if and only if `on ^ branch`.
    ///
    /// With the current state of the key for `on`, this is the instruction that the site must
    /// hold now.  With the state that the key was *defined* with, it is the instruction that
    /// the compiler emitted.
    #[must_use]
    pub const fn wanted(on: bool, branch: bool) -> Self {
        if on ^ branch { Self::Jmp } else { Self::Nop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JumpLabelType::{Jmp, Nop};

    #[test]
    fn layout_equals_the_kernels() {
        assert_eq!((RelativeEntry::SIZE, AbsoluteEntry::SIZE, StaticKey::SIZE), (16, 24, 16));
        assert_eq!((RelativeEntry::CODE, RelativeEntry::TARGET, RelativeEntry::KEY), (0, 4, 8));
        assert_eq!((AbsoluteEntry::CODE, AbsoluteEntry::TARGET, AbsoluteEntry::KEY), (0, 8, 16));
        assert_eq!((StaticKey::ENABLED, StaticKey::TYPE, StaticKey::ALIGN), (0, 8, 8));
    }

    /// The kernel's table of (defined state, branch, current state): the instruction that the
    /// compiler emitted, and the one that the site must hold now.
    #[test]
    fn wanted_instruction_for_all_eight_cases() {
        for (defined, branch, on, emitted, now) in [
            (false, false, false, Nop, Nop),
            (false, false, true, Nop, Jmp),
            (false, true, false, Jmp, Jmp),
            (false, true, true, Jmp, Nop),
            (true, false, false, Jmp, Nop),
            (true, false, true, Jmp, Jmp),
            (true, true, false, Nop, Jmp),
            (true, true, true, Nop, Nop),
        ] {
            assert_eq!(JumpLabelType::wanted(defined, branch), emitted, "{defined} {branch}");
            assert_eq!(JumpLabelType::wanted(on, branch), now, "{on} {branch}");
        }
    }

    #[test]
    fn a_first_enable_in_progress_counts_as_on() {
        assert!(StaticKey::is_on(-1) && StaticKey::is_on(1) && !StaticKey::is_on(0));
        assert!(StaticKey::is_initially_true(KEY_TYPE_TRUE | KEY_TYPE_LINKED));
        assert!(!StaticKey::is_initially_true(KEY_TYPE_LINKED));
    }
}
