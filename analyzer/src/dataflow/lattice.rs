//! Lattices: the states of an analysis.

/// A state that grows where paths through a function meet.
pub trait Lattice: Clone {
    /// Replaces the state by its join with `other`. Returns whether the state has changed.
    fn join(&mut self, other: &Self) -> bool;
}

impl Lattice for bool {
    fn join(&mut self, other: &Self) -> bool {
        let grows = *other && !*self;
        *self |= *other;
        grows
    }
}

impl<A: Lattice, B: Lattice> Lattice for (A, B) {
    fn join(&mut self, other: &Self) -> bool {
        let first = self.0.join(&other.0);
        self.1.join(&other.1) || first
    }
}

/// A set of numbers below 64. [`Self::one`] drops a larger number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bits(pub u64);

impl Bits {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The set of one number; the empty set if the number is 64 or more.
    #[must_use]
    pub fn one(number: usize) -> Self {
        Self(u32::try_from(number).ok().and_then(|number| 1u64.checked_shl(number)).unwrap_or(0))
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the two sets have an element in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The numbers in the set, ascending.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |number| self.0 >> number & 1 != 0)
    }
}

impl Lattice for Bits {
    fn join(&mut self, other: &Self) -> bool {
        let before = self.0;
        self.0 |= other.0;
        self.0 != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_reports_growth() {
        let mut bits = (Bits::one(3), false);
        assert!(bits.join(&(Bits::one(63), false)));
        assert!(!bits.join(&(Bits::one(63), false)));
        assert!(bits.join(&(Bits::NONE, true)));
        assert_eq!(bits.0.numbers().collect::<Vec<_>>(), [3, 63]);
        assert_eq!(Bits::one(64), Bits::NONE);
    }
}
