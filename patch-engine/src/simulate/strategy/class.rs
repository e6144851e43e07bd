//! Ops that the model cannot tell apart.

use jlctl_shim::insn::aarch64::{NOP, is_concurrently_modifiable};

/// A branch, for all branches: where it goes makes no difference here.
pub const BRANCH: u32 = 0x1400_0001;

/// Most sites beside one that are explored with it; more behave alike.
pub const MAX_OTHERS: usize = 2;

/// Ops that the model cannot tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class {
    /// The word before.
    pub old: u32,
    /// The word afterwards.
    pub new: u32,
    /// Sites of the batch on the same cache line, beside this one; at most
    /// [`MAX_OTHERS`].
    pub others: usize,
}

impl Class {
    /// The class of an op with `others` sites of its batch on its line.
    #[must_use]
    pub fn new(old: u32, new: u32, others: usize) -> Self {
        // B with any target is one instruction for the model.
        let alike = |word: u32| if word & 0xfc00_0000 == 0x1400_0000 { BRANCH } else { word };
        Self { old: alike(old), new: alike(new), others: others.min(MAX_OTHERS) }
    }

    /// Whether both words may be modified while they are executed.
    #[must_use]
    pub fn is_modifiable(&self) -> bool {
        self.old == self.new
            || is_concurrently_modifiable(self.old) && is_concurrently_modifiable(self.new)
    }

    pub(super) fn sites(&self) -> u8 {
        u8::try_from(self.others.min(MAX_OTHERS) + 1).unwrap_or(1)
    }

    pub(super) fn word(&self, write: u8) -> String {
        match write {
            0 => format!("old {}", word_name(self.old)),
            _ => format!("new {}", word_name(self.new)),
        }
    }
}

/// A word as people call it.
#[must_use]
pub fn word_name(word: u32) -> String {
    match word {
        NOP => "NOP".to_owned(),
        BRANCH => "B".to_owned(),
        other => format!("{other:#010x}"),
    }
}
