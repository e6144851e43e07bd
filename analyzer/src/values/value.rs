//! A value: a number, the signs of a number, or a path to a value.

use crate::addr::Svma;

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// The value of the register with this number at the entry of the function.
    Entry(u8),
    /// The stack pointer at the entry of the function.
    Stack,
    /// The result of the call or system call at this address.
    Result(Svma),
    /// The word of data at this address, in data that can change.
    Word(u64),
}

/// A value that was loaded: the origin, and the words that were loaded from it, each at an offset
/// in bytes from the value before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    origin: Origin,
    loads: [i32; 2],
    depth: u8,
}

impl Path {
    /// The origin itself.
    #[must_use]
    pub const fn new(origin: Origin) -> Self {
        Self { origin, loads: [0; 2], depth: 0 }
    }

    /// Where the path begins.
    #[must_use]
    pub const fn origin(self) -> Origin {
        self.origin
    }

    /// The path of the value that is loaded at an unknown index from this one.
    #[must_use]
    pub fn loaded_by_index(self) -> Option<Self> {
        self.loaded(i64::from(BY_INDEX))
    }

    /// Whether a load is at an unknown index, so that the path names several values.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.loads().contains(&BY_INDEX)
    }

    /// The offsets of the loads, the first one first.
    #[must_use]
    pub fn loads(&self) -> &[i32] {
        &self.loads[..usize::from(self.depth)]
    }

    /// The path of the value that is loaded at `offset` from this one; `None` if it would be too
    /// long.
    #[must_use]
    pub fn loaded(mut self, offset: i64) -> Option<Self> {
        // A word of data is a load already.
        let most = if matches!(self.origin, Origin::Word(_)) { 1 } else { 2 };
        if self.depth >= most {
            return None;
        }
        self.loads[usize::from(self.depth)] = i32::try_from(offset).ok()?;
        self.depth += 1;
        Some(self)
    }

    /// The path without its last load, with the offset of that load; the offset is `None` if it is
    /// an unknown index. `None` for an origin.
    #[must_use]
    pub fn container(mut self) -> Option<(Self, Option<i32>)> {
        let last = self.depth.checked_sub(1)?;
        let offset = std::mem::take(&mut self.loads[usize::from(last)]);
        self.depth = last;
        Some((self, (offset != BY_INDEX).then_some(offset)))
    }
}

/// The offset of a load at an unknown index.
const BY_INDEX: i32 = i32::MIN;

/// How far a value is from its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Distance {
    /// This number of bytes.
    Exactly(i32),
    /// The start of its page, or of a greater aligned block.
    Aligned,
    /// An index that the instruction at this address added (its low 32 bits), plus a number of
    /// bytes. Two values have the same index if they are computed in the same iteration.
    Indexed(u32, i32),
    /// The quotient of the value and a size.
    Quotient,
    /// An unknown number of bytes, or other bits.
    Somewhere,
}

/// What is known about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Value {
    /// Nothing.
    Unknown,
    /// This number.
    Number(u64),
    /// A number with one of these signs.
    Signs(Signs),
    /// A path, or a value at some distance from it.
    At(Path, Distance),
    /// What the instruction at this address (its low 32 bits) computed, plus a number of bytes.
    Computed(u32, i32),
}

/// A set of signs of a number, as a 32-bit or 64-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signs(u8);

impl Signs {
    const ZERO: Self = Self(1);
    /// Above zero and below 2^31.
    const POSITIVE: Self = Self(2);
    const NEGATIVE: Self = Self(4);
    /// A count: zero or positive. A count is assumed not to overflow.
    const COUNT: Self = Self(3);
    const NOT_ZERO: Self = Self(6);

    const fn of(number: u64) -> Self {
        match number {
            0 => Self::ZERO,
            1..0x8000_0000 => Self::POSITIVE,
            _ => Self::NEGATIVE,
        }
    }
}

impl Value {
    /// A number that is not zero.
    pub const NOT_ZERO: Self = Self::Signs(Signs::NOT_ZERO);

    /// An origin as a value.
    #[must_use]
    pub const fn of(origin: Origin) -> Self {
        Self::At(Path::new(origin), Distance::Exactly(0))
    }

    /// The number, if it is known.
    #[must_use]
    pub const fn as_number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The path, whatever the distance.
    #[must_use]
    pub const fn path(self) -> Option<Path> {
        match self {
            Self::At(path, _) => Some(path),
            _ => None,
        }
    }

    /// The path, if the value is exactly what is at its end.
    #[must_use]
    pub fn exact(self) -> Option<Path> {
        match self {
            Self::At(path, Distance::Exactly(0)) if !path.has_index() => Some(path),
            _ => None,
        }
    }

    /// Whether it is an address on the stack of the function.
    #[must_use]
    pub fn is_on_stack(self) -> bool {
        self.path() == Some(Path::new(Origin::Stack))
    }

    /// Whether the value is zero, if that is known.
    #[must_use]
    pub const fn is_zero(self) -> Option<bool> {
        match self.signs() {
            Some(Signs::ZERO) => Some(true),
            Some(signs) if signs.0 & Signs::ZERO.0 == 0 => Some(false),
            _ => None,
        }
    }

    /// Whether something is known about the number, whatever its origin.
    #[must_use]
    pub const fn is_number(self) -> bool {
        self.signs().is_some()
    }

    const fn signs(self) -> Option<Signs> {
        match self {
            Self::Number(number) => Some(Signs::of(number)),
            Self::Signs(signs) => Some(signs),
            Self::Unknown | Self::At(..) | Self::Computed(..) => None,
        }
    }

    /// The value plus a number of bytes.
    #[must_use]
    pub fn plus(self, add: i64) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.wrapping_add_signed(add)),
            _ if add == 0 => self,
            Self::Signs(Signs::POSITIVE | Signs::COUNT) if add > 0 => Self::Signs(Signs::POSITIVE),
            Self::Signs(_) | Self::Unknown => Self::Unknown,
            Self::At(path, Distance::Exactly(old)) => {
                let new = i64::from(old).checked_add(add).and_then(|new| i32::try_from(new).ok());
                Self::At(path, new.map_or(Distance::Somewhere, Distance::Exactly))
            }
            Self::Computed(by, old) => {
                let new = i64::from(old).checked_add(add).and_then(|new| i32::try_from(new).ok());
                new.map_or(Self::Unknown, |new| Self::Computed(by, new))
            }
            Self::At(path, Distance::Indexed(by, old)) => {
                let new = i64::from(old).checked_add(add).and_then(|new| i32::try_from(new).ok());
                let distance = new.map_or(Distance::Somewhere, |new| Distance::Indexed(by, new));
                Self::At(path, distance)
            }
            Self::At(path, Distance::Aligned | Distance::Quotient | Distance::Somewhere) => {
                Self::At(path, Distance::Somewhere)
            }
        }
    }

    /// What the instruction at `at` computes, of which nothing else is known.
    #[must_use]
    pub const fn computed(at: Svma) -> Self {
        Self::Computed(low(at), 0)
    }

    /// The sum of this value and `index`, which the instruction at `at` computes.
    #[must_use]
    pub fn indexed(self, index: Self, at: Svma) -> Self {
        let (by, more) = match index {
            Self::Computed(by, more) => (by, more),
            _ => (low(at), 0),
        };
        match self {
            Self::At(path, Distance::Exactly(offset)) => offset
                .checked_add(more)
                .map_or(self.moved(), |offset| Self::At(path, Distance::Indexed(by, offset))),
            _ => self.moved(),
        }
    }

    /// The value after an unknown number of bytes was added, or bits were changed.
    #[must_use]
    pub const fn moved(self) -> Self {
        match self {
            Self::At(path, _) => Self::At(path, Distance::Somewhere),
            _ => Self::Unknown,
        }
    }

    /// The least value that covers both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        if let (Self::At(path, _), Self::At(other, _)) = (self, other) {
            return if path == other { Self::At(path, Distance::Somewhere) } else { Self::Unknown };
        }
        let (Some(one), Some(other)) = (self.signs(), other.signs()) else { return Self::Unknown };
        match Signs(one.0 | other.0) {
            signs @ (Signs::POSITIVE | Signs::COUNT | Signs::NOT_ZERO) => Self::Signs(signs),
            Signs::NEGATIVE => Self::NOT_ZERO,
            _ => Self::Unknown,
        }
    }

    /// The size of the range from this value to `end`, in bytes, if both are at a known distance
    /// of each other.
    #[must_use]
    pub fn bytes_to(self, end: Self) -> Option<u64> {
        match (self, end) {
            (Self::Number(start), Self::Number(end)) => end.checked_sub(start),
            (Self::At(path, Distance::Exactly(start)), Self::At(other, Distance::Exactly(end)))
                if path == other =>
            {
                u64::try_from(i64::from(end) - i64::from(start)).ok()
            }
            (
                Self::At(path, Distance::Indexed(by, start)),
                Self::At(other, Distance::Indexed(other_by, end)),
            ) if path == other && by == other_by => {
                u64::try_from(i64::from(end) - i64::from(start)).ok()
            }
            _ => None,
        }
    }
}

/// The low half of an address.
const fn low(at: Svma) -> u32 {
    (at.0 & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let path = (0u8..2, proptest::option::of(0i64..2)).prop_map(|(register, load)| {
            let path = Path::new(Origin::Entry(register));
            load.map_or(path, |offset| path.loaded(offset).unwrap())
        });
        let distance = prop_oneof![
            (0i32..2).prop_map(Distance::Exactly),
            (0u32..2, 0i32..2).prop_map(|(by, offset)| Distance::Indexed(by, offset)),
            Just(Distance::Aligned),
            Just(Distance::Quotient),
            Just(Distance::Somewhere)
        ];
        prop_oneof![
            (0u64..3).prop_map(Value::Number),
            Just(Value::Number(u64::MAX)),
            Just(Value::Signs(Signs::POSITIVE)),
            Just(Value::Signs(Signs::COUNT)),
            Just(Value::NOT_ZERO),
            (0u32..2, 0i32..2).prop_map(|(by, more)| Value::Computed(by, more)),
            (path, distance).prop_map(|(path, distance)| Value::At(path, distance)),
            Just(Value::Unknown),
        ]
    }

    proptest! {
        /// A join is the least upper bound: independent of the order, and idempotent.
        #[test]
        fn values_are_a_lattice(a in value(), b in value(), c in value()) {
            prop_assert_eq!(a.or(b), b.or(a));
            prop_assert_eq!(a.or(b.or(c)), a.or(b).or(c));
            prop_assert_eq!(a.or(a), a);
            prop_assert_eq!(a.or(b).or(a), a.or(b), "nothing new");
        }
    }

    #[test]
    fn counts_stay_above_zero() {
        let zero = Value::Number(0);
        let one = zero.plus(1);
        let more = one.or(one.plus(1));
        assert_eq!(more, Value::Signs(Signs::POSITIVE));
        let any = more.or(zero);
        assert_eq!((any, any.is_zero()), (Value::Signs(Signs::COUNT), None));
        assert_eq!((any.plus(1), more.plus(1)), (more, more));
        assert_eq!((any.plus(-1), more.plus(-1)), (Value::Unknown, Value::Unknown));
        let error = Value::Number(u64::MAX);
        assert_eq!(more.or(error), Value::NOT_ZERO);
        assert_eq!(error.or(zero), Value::Unknown);
    }

    #[test]
    fn paths_have_at_most_two_loads() {
        let argument = Path::new(Origin::Entry(0));
        let field = argument.loaded(8).unwrap();
        let nested = field.loaded(16).unwrap();
        assert_eq!((nested.loads(), nested.loaded(0)), (&[8, 16][..], None));
        assert_eq!(
            (nested.container(), field.container()),
            (Some((field, Some(16))), Some((argument, Some(8))))
        );
        assert_eq!(Path::new(Origin::Word(4)).loaded(0).unwrap().loaded(0), None);
    }
}
