//! Classes of ops that the model cannot distinguish.

use jlctl_shim::insn::aarch64::{NOP, is_concurrently_modifiable};

/// The word that stands for every branch: the model does not distinguish targets.
pub const BRANCH: u32 = 0x1400_0001;

/// Most other sites on the line that are explored; more change no verdict.
pub const MAX_OTHERS: usize = 2;

/// A class of ops that the model cannot distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class {
    /// The old word.
    pub old: u32,
    /// The new word.
    pub new: u32,
    /// Number of other sites of the batch on the same cache line; at most [`MAX_OTHERS`].
    pub others: usize,
}

impl Class {
    /// The class of an op with `others` sites of its batch on its line.
    #[must_use]
    pub fn new(old: u32, new: u32, others: usize) -> Self {
        // B is one instruction for the model, whatever its target.
        let alike = |word: u32| if word & 0xfc00_0000 == 0x1400_0000 { BRANCH } else { word };
        Self { old: alike(old), new: alike(new), others: others.min(MAX_OTHERS) }
    }

    /// Whether both words may be modified concurrently with their execution.
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

/// The name of a word in reports.
#[must_use]
pub fn word_name(word: u32) -> String {
    match word {
        NOP => "NOP".to_owned(),
        BRANCH => "B".to_owned(),
        other => format!("{other:#010x}"),
    }
}
