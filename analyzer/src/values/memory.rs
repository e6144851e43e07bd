//! What is known about words of memory.

use super::value::{Distance, Origin, Path, Value};

/// A location in memory that is known exactly: a path or an address, plus a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// An address in the image.
    Address(u64),
    /// A distance in bytes from the value of a path.
    Path(Path, i32),
}

impl Location {
    /// The location that `address` points to, if it is known exactly.
    #[must_use]
    pub fn of(address: Value) -> Option<Self> {
        match address {
            Value::Number(address) => Some(Self::Address(address)),
            Value::At(path, Distance::Exactly(offset)) if !path.has_index() => {
                Some(Self::Path(path, offset))
            }
            _ => None,
        }
    }

    /// Whether it is on the stack of the function.
    #[must_use]
    pub fn is_stack(self) -> bool {
        matches!(self, Self::Path(path, _) if path == Path::new(Origin::Stack))
    }

    /// Whether accesses of at most 16 bytes at both may overlap.
    fn may_overlap(self, other: Self) -> bool {
        match (self, other) {
            (Self::Address(one), Self::Address(other)) => one.abs_diff(other) < 16,
            (Self::Path(path, one), Self::Path(other_path, other)) if path == other_path => {
                one.abs_diff(other) < 16
            }
            _ => self.is_stack() == other.is_stack(),
        }
    }

    /// Whether accesses of 8 bytes at both overlap, given that different paths do not.
    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::Address(one), Self::Address(other)) => one.abs_diff(other) < 8,
            (Self::Path(path, one), Self::Path(other_path, other)) => {
                path == other_path && one.abs_diff(other) < 8
            }
            _ => false,
        }
    }
}

/// Words of memory with known values, by location.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownWords(Vec<(Location, Value)>);

/// Words that are known at once.
const MOST: usize = 24;

impl KnownWords {
    pub(super) fn get(&self, at: Location) -> Option<Value> {
        let index = self.0.binary_search_by_key(&at, |(known, _)| *known).ok()?;
        Some(self.0[index].1)
    }

    /// A store to `at`; `value` is `None` if it is not known.
    pub(super) fn set(&mut self, at: Location, value: Option<Value>) {
        let is_stack = at.is_stack();
        self.0.retain(
            |(known, _)| {
                !if is_stack { known.overlaps(at) } else { known.may_overlap(at) }
            },
        );
        let value = value.filter(|value| *value != Value::Unknown);
        if let Some(value) = value.filter(|_| self.0.len() < MOST) {
            let index = self.0.partition_point(|(known, _)| *known < at);
            self.0.insert(index, (at, value));
        }
    }

    /// A store to an unknown address: all but the stack may have changed.
    pub(super) fn forget_all_but_stack(&mut self) {
        self.0.retain(|(known, _)| known.is_stack());
    }

    /// The stack from `offset` upward may have changed.
    pub(super) fn forget_stack_from(&mut self, offset: i32) {
        self.0.retain(|(known, _)| match known {
            Location::Path(_, at) if known.is_stack() => *at < offset,
            _ => true,
        });
    }

    pub(super) fn forget_stack(&mut self) {
        self.forget_stack_from(i32::MIN);
    }

    /// Replaces `value` by `learnt`.
    pub(super) fn learn(&mut self, value: Value, learnt: Value) {
        self.0.iter_mut().filter(|(_, held)| *held == value).for_each(|(_, held)| *held = learnt);
    }

    /// The words other than those of the stack, by location.
    pub(super) fn data(&self) -> impl Iterator<Item = (Location, Value)> {
        self.0.iter().copied().filter(|(at, _)| !at.is_stack())
    }

    pub(super) fn retain_values(&mut self, keeps: impl Fn(Value) -> bool) {
        self.0.retain(|(_, value)| keeps(*value));
    }

    pub(super) fn join(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        let mut changes = false;
        self.0.retain_mut(|(at, value)| {
            let joined = other.get(*at).map_or(Value::Unknown, |other| value.or(other));
            changes |= joined != *value;
            *value = joined;
            joined != Value::Unknown
        });
        changes || self.0.len() != before
    }
}
