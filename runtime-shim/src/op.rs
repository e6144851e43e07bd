//! Operations on a key's count.

use crate::error::Error;

/// What to do with a key's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Makes it 1 if it is 0, else leaves it.
    Enable,
    /// Makes it 0 if it is 1, and leaves 0; what is enabled several times is refused.
    Disable,
    /// Adds 1.
    Increment,
    /// Takes 1 away.
    Decrement,
}

impl Op {
    /// The count after it, from `count` of the key at `key`.
    ///
    /// # Errors
    /// [`Error::Counted`], [`Error::Underflow`], [`Error::Overflow`].
    pub(crate) const fn after(self, key: usize, count: i32) -> Result<i32, Error> {
        match (self, count) {
            (Self::Enable, 0) => Ok(1),
            (Self::Enable, _) | (Self::Disable, 0) => Ok(count),
            (Self::Disable, 1) => Ok(0),
            (Self::Disable, _) => Err(Error::Counted { key, count }),
            (Self::Increment, i32::MAX) => Err(Error::Overflow { key }),
            (Self::Increment, _) => Ok(count + 1),
            (Self::Decrement, 0) => Err(Error::Underflow { key }),
            (Self::Decrement, _) => Ok(count - 1),
        }
    }
}
