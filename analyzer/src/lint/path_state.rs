//! Registers and data on the paths on which the obligation is pending, or on those on which it is
//! not.

use super::registers::{RegisterState, RegisterValue, ValueOrigin};
use crate::addr::Svma;
use crate::dataflow::Lattice;
use crate::image::Image;
use crate::program::{Access, AccessKind, Condition, Insn, Test, access};

/// Tracked words of data with their values, by address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TrackedWords(Vec<(u64, RegisterValue)>);

/// Words that are tracked at once.
const MOST_WORDS: usize = 8;

impl TrackedWords {
    pub(super) fn get(&self, address: u64) -> Option<RegisterValue> {
        let at = self.0.binary_search_by_key(&address, |(at, _)| *at).ok()?;
        Some(self.0[at].1)
    }

    /// Records the value of the word at `address`. Words that overlap it are no longer tracked.
    pub(super) fn set(&mut self, address: u64, value: Option<RegisterValue>) {
        self.0.retain(|(at, _)| at.abs_diff(address) >= 8);
        let value = value.filter(|value| value.is_number());
        if let Some(value) = value.filter(|_| self.0.len() < MOST_WORDS) {
            let at = self.0.partition_point(|(at, _)| *at < address);
            self.0.insert(at, (address, value));
        }
    }

    fn join(&mut self, other: &Self) -> bool {
        let before = self.0.clone();
        self.0.retain_mut(|(at, value)| match other.get(*at).and_then(|other| value.or(other)) {
            Some(joined) => {
                *value = joined;
                true
            }
            None => false,
        });
        self.0 != before
    }
}

/// The state on the paths with, or without, the obligation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathState {
    pub(super) registers: RegisterState,
    pub(super) words: TrackedWords,
    /// Whether no data except the stack has changed since the entry, as far as known.
    pub(super) preserves_data: bool,
}

impl Lattice for PathState {
    fn join(&mut self, other: &Self) -> bool {
        let registers = self.registers.join(&other.registers);
        let words = self.words.join(&other.words);
        let preserves_data = self.preserves_data && !other.preserves_data;
        self.preserves_data &= other.preserves_data;
        registers || words || preserves_data
    }
}

impl PathState {
    /// The state at the entry of a function.
    pub(super) fn at_entry() -> Self {
        Self {
            registers: RegisterState::at_entry(),
            words: TrackedWords::default(),
            preserves_data: true,
        }
    }

    /// Applies a call at `at` that may change all data.
    pub(super) fn call(&mut self, at: Svma) {
        self.registers.call(at);
        self.change_all();
    }

    fn change_all(&mut self) {
        self.words = TrackedWords::default();
        self.preserves_data = false;
        self.registers.forget_words(None);
    }

    /// Executes an instruction that is not a call.
    pub(super) fn execute(&mut self, image: &Image<'_>, at: Svma, word: u32, insn: Insn) {
        let access = access(word);
        let address = access.and_then(|access| self.registers.address(access));
        let stored = access.and_then(|access| match access.register.number() {
            31 => Some(RegisterValue::number(0)),
            _ => self.registers.get(access.register),
        });
        self.registers.execute(image, at, word, insn);
        match (access, address) {
            (Some(access), Some(address)) if access.kind == AccessKind::Load => {
                if let Some(known) = self.words.get(address) {
                    self.registers.set_argument(access.register.number().into(), Some(known));
                }
            }
            (Some(access), Some(address)) => {
                self.preserves_data = false;
                self.registers.forget_words(Some(address));
                self.words.set(address, stored.filter(|_| access.bytes >= 4 || is_small(stored)));
            }
            _ if may_change_data(word, access) => self.change_all(),
            _ => {}
        }
    }

    /// Restricts the state to executions in which the outcome of a test is `answer`. Returns
    /// false if there is none.
    pub(super) fn assume(&mut self, condition: Condition, answer: bool) -> bool {
        let Some(value) = self.registers.get(condition.register) else { return true };
        let narrow = |number| if condition.is_wide { number } else { number & 0xffff_ffff };
        let known = match (condition.test, value.as_number().map(narrow)) {
            (Test::Is(number), Some(value)) => Some(value == number),
            (Test::Is(0), None) => value.is_zero(),
            (Test::Is(_), None) => None,
            (Test::HasClear(bit), Some(value)) => Some(value >> bit & 1 == 0),
            (Test::HasClear(_), None) => None,
        };
        if known.is_some_and(|known| known != answer) {
            return false;
        }
        let learnt = match (condition.test, answer) {
            (Test::Is(number), true) => Some(RegisterValue::number(number)),
            (Test::Is(0), false) | (Test::HasClear(_), false) => {
                Some(RegisterValue::new(ValueOrigin::NotZero))
            }
            _ => None,
        };
        if let Some(learnt) = learnt.filter(|_| value.is_exact && !value.is_number()) {
            self.registers.learn(value, learnt);
            if let ValueOrigin::Word(address) = value.origin {
                self.words.set(address, Some(learnt));
            }
        }
        true
    }
}

/// Whether a number fits in a byte, so that a store of one byte preserves it.
fn is_small(value: Option<RegisterValue>) -> bool {
    value.and_then(RegisterValue::as_number).is_some_and(|number| number < 0x100)
}

/// Whether an instruction may store to memory other than the stack (through SP or the frame
/// pointer).
fn may_change_data(word: u32, access: Option<Access>) -> bool {
    let is_stack = |number: u32| matches!(number, 29 | 31);
    match access {
        Some(access) => access.kind == AccessKind::Store && !is_stack(access.base.number().into()),
        // Vector accesses, atomics and similar.
        None => {
            let is_memory = (word >> 25) & 0b0101 == 0b0100;
            let is_literal = (word >> 27) & 7 == 3 && (word >> 24) & 3 == 0;
            is_memory && !is_literal && !is_stack((word >> 5) & 31)
        }
    }
}
