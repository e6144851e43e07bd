//! What an analysis computes for each place in a function.

/// A value that grows as ways through a function meet.
pub trait Lattice: Clone {
    /// Makes this what holds if either did; whether that changed it.
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

/// A set of up to 64 things, by number; what is beyond is lost and said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bits(pub u64);

impl Bits {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// The one of a number; none if there is no room for it.
    #[must_use]
    pub fn one(number: usize) -> Self {
        Self(u32::try_from(number).ok().and_then(|number| 1u64.checked_shl(number)).unwrap_or(0))
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has one of those in `other`.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Numbers in it, ascending.
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
    fn joins_grow_and_say_so() {
        let mut bits = (Bits::one(3), false);
        assert!(bits.join(&(Bits::one(63), false)));
        assert!(!bits.join(&(Bits::one(63), false)));
        assert!(bits.join(&(Bits::NONE, true)));
        assert_eq!(bits.0.numbers().collect::<Vec<_>>(), [3, 63]);
        assert_eq!(Bits::one(64), Bits::NONE);
    }
}
