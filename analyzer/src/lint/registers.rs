//! Register values at every instruction of a function, from its own instructions: constants, and
//! values identified by their origin.
//!
//! A 32-bit register is taken for the 64-bit register with the same value. The stack is not
//! tracked.

use crate::addr::Svma;
use crate::dataflow::{Analysis, Lattice};
use crate::image::Image;
use crate::program::constant_at;
use crate::program::{
    Access, AccessKind, Block, CALLEE_SAVED, Cfg, Constant, FuncId, INSN_BYTES, Insn,
    RecoveredProgram, Register, access, also_writes,
};

/// The origin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ValueOrigin {
    /// This number.
    Number(u64),
    /// A number above zero and below 2^31.
    Positive,
    /// A count: zero, or as [`Self::Positive`]. A count is assumed not to overflow.
    Count,
    /// A number other than zero.
    NotZero,
    /// The value of the register with this number at the entry of the function.
    Entry(u8),
    /// The result of the call at this address.
    Result(Svma),
    /// A load from this address, in data that can change.
    Word(u64),
}

/// A value, or an address at some distance from a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RegisterValue {
    pub(super) origin: ValueOrigin,
    /// Whether it is the value itself, with nothing added.
    pub(super) is_exact: bool,
}

impl RegisterValue {
    pub(super) const fn new(origin: ValueOrigin) -> Self {
        Self { origin, is_exact: true }
    }

    pub(super) const fn number(number: u64) -> Self {
        Self::new(ValueOrigin::Number(number))
    }

    /// The number, if it is known.
    pub(super) const fn as_number(self) -> Option<u64> {
        match self.origin {
            ValueOrigin::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether the value is zero, if known.
    pub(super) const fn is_zero(self) -> Option<bool> {
        match self.origin {
            ValueOrigin::Number(number) => Some(number == 0),
            ValueOrigin::Positive | ValueOrigin::NotZero => Some(false),
            _ => None,
        }
    }

    /// Whether something is known about the number, whatever its origin.
    pub(super) const fn is_number(self) -> bool {
        self.signs() != 0
    }

    /// The possible signs of a number, of [`ZERO`], [`POSITIVE`] and [`NEGATIVE`]; 0 if only the
    /// origin is known.
    const fn signs(self) -> u8 {
        match self.origin {
            ValueOrigin::Number(0) => ZERO,
            ValueOrigin::Number(number) if number < 1 << 31 => POSITIVE,
            ValueOrigin::Number(_) => NEGATIVE,
            ValueOrigin::Positive => POSITIVE,
            ValueOrigin::Count => ZERO | POSITIVE,
            ValueOrigin::NotZero => POSITIVE | NEGATIVE,
            ValueOrigin::Entry(_) | ValueOrigin::Result(_) | ValueOrigin::Word(_) => 0,
        }
    }

    /// The value plus a number.
    fn plus(self, add: i64) -> Option<Self> {
        match self.origin {
            ValueOrigin::Number(number) => Some(Self::number(number.wrapping_add_signed(add))),
            _ if add == 0 => Some(self),
            ValueOrigin::Positive | ValueOrigin::Count if add > 0 => {
                Some(Self::new(ValueOrigin::Positive))
            }
            ValueOrigin::Positive | ValueOrigin::Count | ValueOrigin::NotZero => None,
            _ => Some(Self { is_exact: false, ..self }),
        }
    }

    /// The value that covers both.
    pub(super) fn or(self, other: Self) -> Option<Self> {
        if self.origin == other.origin {
            return Some(Self { is_exact: self.is_exact && other.is_exact, ..self });
        }
        if self.signs() == 0 || other.signs() == 0 {
            return None;
        }
        match self.signs() | other.signs() {
            POSITIVE => Some(Self::new(ValueOrigin::Positive)),
            both if both == ZERO | POSITIVE => Some(Self::new(ValueOrigin::Count)),
            both if both & ZERO == 0 => Some(Self::new(ValueOrigin::NotZero)),
            _ => None,
        }
    }
}

const ZERO: u8 = 1;
const POSITIVE: u8 = 2;
/// Negative as a 32-bit or 64-bit number.
const NEGATIVE: u8 = 4;

/// The registers x0 to x30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegisterState([Option<RegisterValue>; 31]);

impl RegisterState {
    /// The registers at the entry of a function.
    pub(super) fn at_entry() -> Self {
        let mut registers = [None; 31];
        for (number, register) in (0u8..).zip(&mut registers) {
            *register = Some(RegisterValue::new(ValueOrigin::Entry(number)));
        }
        Self(registers)
    }

    pub(super) fn get(&self, register: Register) -> Option<RegisterValue> {
        self.0.get(usize::from(register.number())).copied().flatten()
    }

    /// The value in the register of a parameter or result.
    pub(super) fn argument(&self, number: usize) -> Option<RegisterValue> {
        self.0.get(number).copied().flatten()
    }

    pub(super) fn set_argument(&mut self, number: usize, value: Option<RegisterValue>) {
        if let Some(register) = self.0.get_mut(number) {
            *register = value;
        }
    }

    fn set(&mut self, register: Register, value: Option<RegisterValue>) {
        self.set_argument(usize::from(register.number()), value);
    }

    /// Replaces `value` by `known` in every register.
    pub(super) fn learn(&mut self, value: RegisterValue, known: RegisterValue) {
        self.0.iter_mut().filter(|held| **held == Some(value)).for_each(|held| *held = Some(known));
    }

    /// Forgets values loaded from `address`, or from any address, because the data have changed.
    pub(super) fn forget_words(&mut self, address: Option<u64>) {
        let is_gone = |value: &Option<RegisterValue>| match value.map(|value| value.origin) {
            Some(ValueOrigin::Word(at)) => address.is_none_or(|address| address == at),
            _ => false,
        };
        self.0.iter_mut().filter(|held| is_gone(held)).for_each(|held| *held = None);
    }

    /// Applies a call at `at`.
    pub(super) fn call(&mut self, at: Svma) {
        let lost =
            self.0.iter_mut().enumerate().filter(|(number, _)| !CALLEE_SAVED.contains(number));
        lost.for_each(|(_, register)| *register = None);
        self.0[0] = Some(RegisterValue::new(ValueOrigin::Result(at)));
    }

    /// The address of an access, if it is a constant.
    pub(super) fn address(&self, access: Access) -> Option<u64> {
        Some(self.get(access.base)?.as_number()?.wrapping_add_signed(access.offset?))
    }

    /// Executes the instruction `insn` at `at`. `word` is its encoding.
    pub(super) fn execute(&mut self, image: &Image<'_>, at: Svma, word: u32, insn: Insn) {
        let base = access(word).map(|access| (access.base, self.get(access.base)));
        match insn {
            Insn::Constant { register, value, is_word } => {
                let value = self.constant(image, register, value);
                let narrow = |value: RegisterValue| match value.origin {
                    ValueOrigin::Number(number) if is_word => {
                        RegisterValue::number(number & 0xffff_ffff)
                    }
                    _ => value,
                };
                self.set(register, value.map(narrow));
            }
            Insn::Other { writes: Some(register) } => {
                let value = self.loaded(image, word).or_else(|| self.derived(word));
                self.set(register, value);
            }
            Insn::Call { .. } | Insn::CallRegister { .. } => self.call(at),
            Insn::SupervisorCall => self.0[0] = Some(RegisterValue::new(ValueOrigin::Result(at))),
            _ => {}
        }
        if let Some(register) = also_writes(word) {
            // Write-back moves a pointer within its object.
            let moved = base.filter(|(base, _)| *base == register).and_then(|(_, value)| value);
            let moved = moved.filter(|value| !value.is_number());
            self.set(register, moved.map(|value| RegisterValue { is_exact: false, ..value }));
        }
    }

    fn constant(&self, image: &Image<'_>, own: Register, value: Constant) -> Option<RegisterValue> {
        match value {
            Constant::Value(value) => Some(RegisterValue::number(value)),
            Constant::Keep { bits, shift } => {
                let old = self.get(own)?.as_number()?;
                Some(RegisterValue::number(old & !(0xffff << shift) | bits << shift))
            }
            Constant::Sum { from, add } => self.get(from)?.plus(add),
            Constant::Literal(from) => constant_at(image, from).map(RegisterValue::number),
            Constant::Loaded { base, offset } => {
                let at = self.get(base)?.as_number()?.wrapping_add(offset);
                let known = constant_at(image, Svma(at)).map(RegisterValue::number);
                Some(known.unwrap_or(RegisterValue::new(ValueOrigin::Word(at))))
            }
        }
    }

    /// The result of a load that is not a [`Constant`].
    fn loaded(&self, image: &Image<'_>, word: u32) -> Option<RegisterValue> {
        let access = access(word).filter(|access| access.kind == AccessKind::Load)?;
        let at = self.address(access)?;
        let known =
            constant_at(image, Svma(at)).filter(|_| access.bytes == 8).map(RegisterValue::number);
        Some(known.unwrap_or(RegisterValue::new(ValueOrigin::Word(at))))
    }

    /// A pointer after an index or a mask was applied: ADD and AND of two registers, BIC, and AND
    /// with an immediate (C4.1.95, C4.1.92).
    fn derived(&self, word: u32) -> Option<RegisterValue> {
        let is_two = matches!(word & 0x7f00_0000, 0x0b00_0000 | 0x0a00_0000);
        let is_masked = word & 0x7f80_0000 == 0x1200_0000;
        if !is_two && !is_masked {
            return None;
        }
        let of = |bit: u32| {
            let value = self.argument(((word >> bit) & 31) as usize)?;
            (!value.is_number()).then_some(value)
        };
        match (of(5), of(16).filter(|_| is_two)) {
            (Some(pointer), None) | (None, Some(pointer)) => {
                Some(RegisterValue { is_exact: false, ..pointer })
            }
            _ => None,
        }
    }
}

impl Lattice for RegisterState {
    fn join(&mut self, other: &Self) -> bool {
        let mut changes = false;
        for (held, other) in self.0.iter_mut().zip(other.0) {
            let joined = held.and_then(|value| value.or(other?));
            changes |= joined != *held;
            *held = joined;
        }
        changes
    }
}

/// A function with the addresses of its instructions.
pub(super) struct FunctionBody<'a, 'data> {
    pub(super) program: &'a RecoveredProgram<'data>,
    pub(super) cfg: &'a Cfg,
    pub(super) id: FuncId,
}

impl FunctionBody<'_, '_> {
    /// The end of a block.
    pub(super) fn end(&self, block: &Block) -> Svma {
        let next = self.cfg.blocks.partition_point(|other| other.start <= block.start);
        let end = self.program.function(self.id).range.end();
        self.cfg.blocks.get(next).map_or(end, |next| next.start)
    }

    /// The instructions of a block, with their addresses and encodings.
    pub(super) fn instructions(&self, block: &Block) -> impl Iterator<Item = (Svma, u32, Insn)> {
        let (start, end) = (block.start, self.end(block));
        let addresses = (0..(end.0 - start.0) / INSN_BYTES)
            .map(move |index| start.wrapping_add(index * INSN_BYTES));
        addresses.map_while(|at| Some((at, self.program.word(at)?, self.program.insn(at)?)))
    }
}

/// Computes the registers at the entry of each block.
pub(super) struct RegisterAnalysis<'a, 'data> {
    pub(super) image: &'a Image<'data>,
    pub(super) body: FunctionBody<'a, 'data>,
}

impl Analysis for RegisterAnalysis<'_, '_> {
    type State = RegisterState;

    fn entry(&self) -> RegisterState {
        RegisterState::at_entry()
    }

    fn transfer(&self, block: &Block, registers: &mut RegisterState) {
        for (at, word, insn) in self.body.instructions(block) {
            registers.execute(self.image, at, word, insn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Option<RegisterValue>> {
        let origin = prop_oneof![
            (0u64..3).prop_map(ValueOrigin::Number),
            Just(ValueOrigin::Number(u64::MAX)),
            Just(ValueOrigin::Positive),
            Just(ValueOrigin::Count),
            Just(ValueOrigin::NotZero),
            (0u8..2).prop_map(ValueOrigin::Entry),
            (0u64..2).prop_map(ValueOrigin::Word),
        ];
        let value = (origin, any::<bool>()).prop_map(|(origin, is_exact)| {
            let value = RegisterValue::new(origin);
            RegisterValue { is_exact: is_exact || value.is_number(), ..value }
        });
        proptest::option::of(value)
    }

    fn joined(a: Option<RegisterValue>, b: Option<RegisterValue>) -> Option<RegisterValue> {
        let mut registers = RegisterState([a; 31]);
        registers.join(&RegisterState([b; 31]));
        registers.argument(0)
    }

    proptest! {
        /// A join is the least upper bound: independent of the order, and idempotent.
        #[test]
        fn values_are_a_lattice(a in value(), b in value(), c in value()) {
            prop_assert_eq!(joined(a, b), joined(b, a));
            prop_assert_eq!(joined(joined(a, b), c), joined(a, joined(b, c)));
            prop_assert_eq!(joined(a, a), a);
            let mut up = RegisterState([joined(a, b); 31]);
            prop_assert!(!up.join(&RegisterState([a; 31])), "nothing new");
        }
    }

    #[test]
    fn counts_stay_above_zero() {
        let zero = RegisterValue::number(0);
        let one = zero.plus(1).unwrap();
        let more = one.or(one.plus(1).unwrap()).unwrap();
        assert_eq!(more.origin, ValueOrigin::Positive);
        let any = more.or(zero).unwrap();
        assert_eq!((any.origin, any.is_zero()), (ValueOrigin::Count, None));
        assert_eq!((any.plus(1), more.plus(1)), (Some(more), Some(more)));
        assert_eq!((any.plus(-1), more.plus(-1)), (None, None));
        let error = RegisterValue::number(u64::MAX);
        let either = more.or(error).unwrap();
        assert_eq!((either.origin, either.plus(1)), (ValueOrigin::NotZero, None));
        assert_eq!(error.or(zero), None);
    }
}
