//! Registers and data on the paths on which the obligation is pending, or on those on which it is
//! not.

use crate::addr::Svma;
use crate::dataflow::Lattice;
use crate::image::Image;
use crate::semantics::{Operation, Test};
use crate::values::{Location, Value, ValueState};

/// Words of data at constant addresses, with their values.
pub(super) type TrackedWords = Vec<(u64, Value)>;

/// The state on the paths with, or without, the obligation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathState {
    pub(super) values: ValueState,
    /// Whether no data except the stack has changed since the entry, as far as known.
    pub(super) preserves_data: bool,
}

impl Lattice for PathState {
    fn join(&mut self, other: &Self) -> bool {
        let values = self.values.join(&other.values);
        let preserves_data = self.preserves_data && !other.preserves_data;
        self.preserves_data &= other.preserves_data;
        values || preserves_data
    }
}

impl PathState {
    /// The state at the entry of a function.
    pub(super) fn at_entry() -> Self {
        Self { values: ValueState::at_entry(), preserves_data: true }
    }

    /// The words of data at constant addresses whose numbers are known.
    pub(super) fn words(&self) -> TrackedWords {
        let known = self.values.data_words().filter(|(_, value)| value.is_number());
        known
            .filter_map(|(at, value)| match at {
                Location::Address(at) => Some((at, value)),
                Location::Path(..) => None,
            })
            .collect()
    }

    /// The known value of the word at `address`.
    pub(super) fn word(&self, address: u64) -> Option<Value> {
        self.values.word(Location::Address(address))
    }

    /// Applies a call at `at` that may change all data.
    pub(super) fn call(&mut self, image: &Image<'_>, at: Svma) {
        self.values.call(image, at);
        self.change_all();
    }

    fn change_all(&mut self) {
        self.values.forget_data();
        self.values.forget_loaded(None);
        self.preserves_data = false;
    }

    /// Executes an instruction that is not a call.
    pub(super) fn execute(&mut self, image: &Image<'_>, at: Svma, operation: &Operation) {
        let stored_to = match operation {
            Operation::Access(access) if access.is_store() => {
                Some(self.values.address(image, at, access))
            }
            Operation::Unknown => Some(Value::Unknown),
            _ => None,
        };
        self.values.execute(image, at, operation);
        match stored_to {
            Some(Value::Number(address)) => {
                self.preserves_data = false;
                self.values.forget_loaded(Some(address));
            }
            Some(to) if !to.is_on_stack() => self.change_all(),
            _ => {}
        }
    }

    /// Restricts the state to executions in which the test is met, or is not. Returns false if
    /// there is none.
    pub(super) fn assume(&mut self, test: Test, is_met: bool) -> bool {
        self.values.assume(test, is_met)
    }
}
