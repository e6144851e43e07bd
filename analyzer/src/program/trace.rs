//! Symbolic execution of a path, as far as the table of a BR needs it: constants, bounds of
//! indexes, entries of tables, and sums of these.

use super::read_only::constant_at;
use super::symbolic_value::{
    Storage, SymbolicValue, TableEntry, ValueFacts, ValueId, base_of, slot,
};
use crate::addr::Svma;
use crate::image::Image;
use crate::semantics::{
    Access, Condition, Extend, Logic, Machine, Operation, Register, Shift, Width, execute,
};

/// A value in the frame of the function.
#[derive(Debug, Clone, Copy)]
struct Spill {
    /// The register at the start of the trace, and the offset in bytes from its value.
    slot: (Register, u64),
    bytes: u32,
    value: SymbolicValue,
}

impl Spill {
    const fn overlaps(&self, (base, offset): (Register, u64), bytes: u32) -> bool {
        self.slot.0.number() == base.number()
            && (offset.wrapping_sub(self.slot.1) < self.bytes as u64
                || self.slot.1.wrapping_sub(offset) < bytes as u64)
    }
}

/// The symbolic state after some instructions.
#[derive(Debug, Clone)]
pub(super) struct Trace<'a, 'data> {
    image: &'a Image<'data>,
    values: Vec<ValueFacts>,
    registers: [SymbolicValue; Register::COUNT],
    /// Values that were stored to the frame or loaded from it. Where two overlap, the later one
    /// counts.
    frame: Vec<Spill>,
    /// Whether an instruction may have changed any word of the frame.
    has_lost_frame: bool,
    /// The operands of the last comparison, while the flags are those of the comparison.
    compared: Option<(ValueId, u64)>,
}

impl<'a, 'data> Trace<'a, 'data> {
    /// The initial state: every value is unknown.
    pub(super) fn new(image: &'a Image<'data>) -> Self {
        let values = (0..32).map(|number| ValueFacts {
            bound: None,
            origin: Register::new(number).map(|register| (Storage::Register(register), 0)),
        });
        Self {
            image,
            values: values.collect(),
            registers: std::array::from_fn(|number| SymbolicValue::Plain(number, 0)),
            frame: Vec::new(),
            has_lost_frame: false,
            compared: None,
        }
    }

    /// The value of `register`.
    pub(super) fn value(&self, register: Register) -> SymbolicValue {
        self.registers[usize::from(register.number())]
    }

    /// The value at `location`, which is relative to the registers now. `Err` is a location at
    /// the start of the trace whose value is still the same.
    pub(super) fn kept_at(&self, location: Storage) -> Option<Result<SymbolicValue, Storage>> {
        let (base, offset) = match location {
            Storage::Register(register) => return Some(Ok(self.value(register))),
            Storage::Stack(base, offset) => (base, offset),
        };
        let (base, moved) = self.frame_slot(self.value(base))?;
        let slot = (base, offset.wrapping_add(moved));
        match self.spilled(slot, 8)? {
            Some(value) => Some(Ok(value)),
            None => Some(Err(Storage::Stack(slot.0, slot.1))),
        }
    }

    /// The facts known about a value of this trace.
    pub(super) fn known(&self, id: ValueId) -> ValueFacts {
        self.values.get(id).copied().unwrap_or_default()
    }

    /// Executes `operations`.
    pub(super) fn run(&mut self, operations: &[Operation]) {
        operations.iter().for_each(|operation| execute(operation, self));
    }

    /// Applies the bound that a B.cond with this condition implies, whether it is taken or not.
    pub(super) fn branch(&mut self, condition: Condition, is_taken: bool) {
        let Some((id, number)) = self.compared else { return };
        let holds = if is_taken { condition } else { condition.opposite() };
        let bound = match holds {
            // LE: a table has no negative indexes, so a compiler that uses a signed comparison
            // knows that the index is not negative. LT is the same.
            Condition::EQ | Condition::LS | Condition::LE => number,
            Condition::LO | Condition::LT => match number.checked_sub(1) {
                Some(bound) => bound,
                None => return,
            },
            _ => return,
        };
        if let Some(known) = self.values.get_mut(id) {
            known.bound = Some(known.bound.map_or(bound, |old| old.min(bound)));
        }
    }

    fn fresh(&mut self, bound: Option<u64>, origin: Option<(Storage, u64)>) -> ValueId {
        self.values.push(ValueFacts { bound, origin });
        self.values.len() - 1
    }

    fn plain(&mut self, bound: Option<u64>) -> SymbolicValue {
        SymbolicValue::Plain(self.fresh(bound, None), 0)
    }

    /// The slot of the frame that an address leads to: SP or x29 at the start of the trace
    /// (AAPCS64, 6.1.1), and an offset in bytes.
    fn frame_slot(&self, address: SymbolicValue) -> Option<(Register, u64)> {
        match self.known(self.id(address)?).origin? {
            (Storage::Register(base), offset) if matches!(base.number(), 29 | 31) => {
                Some((base, offset))
            }
            _ => None,
        }
    }

    /// The value of a slot; `Some(None)` if it is the value at the start of the trace, `None` if
    /// it is unknown.
    fn spilled(&self, slot: (Register, u64), bytes: u32) -> Option<Option<SymbolicValue>> {
        match self.frame.iter().rev().find(|spill| spill.overlaps(slot, bytes)) {
            None if self.has_lost_frame => None,
            None => Some(None),
            Some(spill) => {
                (spill.slot == slot && spill.bytes == bytes).then_some(Some(spill.value))
            }
        }
    }

    fn unspilled(&mut self, slot: (Register, u64), bytes: u32) -> SymbolicValue {
        let origin = match self.spilled(slot, bytes) {
            Some(Some(value)) => return value,
            Some(None) => (bytes == 8).then_some((Storage::Stack(slot.0, slot.1), 0)),
            None => return self.plain(None),
        };
        let value = SymbolicValue::Plain(self.fresh(None, origin), 0);
        self.frame.push(Spill { slot, bytes, value });
        value
    }

    /// A value as an unknown value, regardless of how it was computed.
    pub(super) fn id(&self, value: SymbolicValue) -> Option<ValueId> {
        match value {
            SymbolicValue::Plain(id, 0) => Some(id),
            SymbolicValue::Entry(TableEntry { id, shift: 0, .. })
            | SymbolicValue::Slot { id, .. } => Some(id),
            _ => None,
        }
    }

    fn bound(&self, value: SymbolicValue) -> Option<u64> {
        number(value).or_else(|| self.known(self.id(value)?).bound)
    }

    /// Extends the low bits of `value` and moves them to bit `left`.
    fn extended(&mut self, value: SymbolicValue, left: u32, extend: Extend) -> SymbolicValue {
        let is_all = extend.bits.saturating_add(left) >= 32;
        match value {
            // The bits cover a 32-bit index completely.
            SymbolicValue::Plain(id, shift) if is_all => {
                return SymbolicValue::Plain(id, shift + left);
            }
            SymbolicValue::Slot { id, .. } if is_all => return SymbolicValue::Plain(id, left),
            SymbolicValue::Entry(entry) => {
                // LSL of a 64-bit register extends nothing.
                let is_whole = extend.bits.saturating_add(left) >= 64;
                let kept = if is_whole { Some(entry) } else { entry.extended(extend) };
                if let Some(entry) = kept {
                    return SymbolicValue::Entry(TableEntry { shift: entry.shift + left, ..entry });
                }
            }
            _ => {}
        }
        let mask = Extend { is_signed: false, ..extend }.apply(u64::MAX);
        let source = self.bound(value);
        let bound = (!extend.is_signed).then(|| source.map_or(mask, |bound| bound.min(mask)));
        SymbolicValue::Plain(self.fresh(bound, None), left)
    }

    /// A value plus a number.
    fn plus(&mut self, value: SymbolicValue, add: u64) -> SymbolicValue {
        let known = match (self.id(value), value) {
            (Some(id), SymbolicValue::Plain(..) | SymbolicValue::Slot { .. }) => self.known(id),
            _ => ValueFacts::default(),
        };
        let origin = known.origin.map(|(from, by)| (from, by.wrapping_add(add)));
        let id = self.fresh(known.bound.and_then(|bound| bound.checked_add(add)), origin);
        match value {
            SymbolicValue::Slot { table, index, shift, .. } => {
                let table = table.plus(add);
                table.map_or(SymbolicValue::Plain(id, 0), |table| SymbolicValue::Slot {
                    table,
                    index,
                    shift,
                    id,
                })
            }
            _ => SymbolicValue::Plain(id, 0),
        }
    }

    fn sum(&mut self, left: SymbolicValue, right: SymbolicValue) -> SymbolicValue {
        let id = self.fresh(None, None);
        match (left, right) {
            (base, SymbolicValue::Entry(entry)) | (SymbolicValue::Entry(entry), base) => {
                base_of(base)
                    .map_or(SymbolicValue::Plain(id, 0), |base| SymbolicValue::Target(base, entry))
            }
            (left, right) => slot(left, right, id)
                .or_else(|| slot(right, left, id))
                .unwrap_or(SymbolicValue::Plain(id, 0)),
        }
    }
}

/// The number, if the value is one.
const fn number(value: SymbolicValue) -> Option<u64> {
    match value {
        SymbolicValue::Constant(number) | SymbolicValue::Immediate(number) => Some(number),
        _ => None,
    }
}

impl Machine for Trace<'_, '_> {
    type Value = SymbolicValue;

    fn get(&self, register: Register) -> SymbolicValue {
        self.value(register)
    }

    fn set(&mut self, register: Register, value: SymbolicValue) {
        self.registers[usize::from(register.number())] =
            number(value).map_or(value, SymbolicValue::Constant);
    }

    fn number(&mut self, number: u64) -> SymbolicValue {
        SymbolicValue::Immediate(number)
    }

    fn unknown(&mut self) -> SymbolicValue {
        self.plain(None)
    }

    /// An index is taken for its low 32 bits.
    fn narrow(&mut self, value: SymbolicValue) -> SymbolicValue {
        match value {
            SymbolicValue::Constant(number) | SymbolicValue::Immediate(number) => {
                SymbolicValue::Constant(number & Width::Word.mask())
            }
            SymbolicValue::Plain(id, 0) | SymbolicValue::Slot { id, .. } => {
                match self.known(id) {
                    // A sum of 32 bits is not a sum of 64 bits.
                    ValueFacts { bound, origin: Some((_, add)) } if add != 0 => self.plain(bound),
                    _ => SymbolicValue::Plain(id, 0),
                }
            }
            SymbolicValue::Plain(..) => value,
            SymbolicValue::Entry(entry) => match entry.narrowed() {
                Some(entry) => SymbolicValue::Entry(entry),
                None => self.plain(None),
            },
            SymbolicValue::Target(..) => self.plain(None),
        }
    }

    fn shifted(
        &mut self,
        value: SymbolicValue,
        extend: Extend,
        shift: Shift,
        width: Width,
    ) -> SymbolicValue {
        if let Some(number) = number(value) {
            return SymbolicValue::Constant(shift.apply(number, extend, width));
        }
        let own = Extend { bits: extend.bits.min(width.bits()), ..extend };
        match shift {
            Shift::Left(0) | Shift::Right(0) | Shift::Arithmetic(0) if own == Extend::NONE => value,
            Shift::Left(left) => self.extended(value, left, own),
            Shift::Right(low) if !own.is_signed => {
                let mask = own.apply(u64::MAX);
                let bound = self.bound(value).map_or(mask, |bound| bound.min(mask));
                self.plain(bound.checked_shr(low))
            }
            _ => self.plain(None),
        }
    }

    fn binary(
        &mut self,
        logic: Logic,
        left: SymbolicValue,
        right: SymbolicValue,
        width: Width,
    ) -> SymbolicValue {
        if let (Some(left), Some(right)) = (number(left), number(right)) {
            return SymbolicValue::Constant(logic.apply(left, right, width));
        }
        match (logic, left, right) {
            (Logic::Add | Logic::Or, value, zero) | (Logic::Add | Logic::Or, zero, value)
                if number(zero) == Some(0) =>
            {
                value
            }
            (Logic::Sub, value, zero) if number(zero) == Some(0) => value,
            (Logic::Add, value, SymbolicValue::Immediate(add)) => self.plus(value, add),
            (Logic::Sub, value, SymbolicValue::Immediate(add)) => {
                self.plus(value, add.wrapping_neg())
            }
            (Logic::Add, left, right) => self.sum(left, right),
            (Logic::And, value, mask) | (Logic::And, mask, value) if number(mask).is_some() => {
                let bound = self.bound(value);
                let most = number(mask).map(|mask| bound.map_or(mask, |bound| bound.min(mask)));
                self.plain(most)
            }
            _ => self.plain(None),
        }
    }

    fn compare(&mut self, logic: Logic, left: SymbolicValue, right: SymbolicValue, width: Width) {
        let number = number(right).map(|number| number & width.mask());
        self.compared = self.id(left).zip(number).filter(|_| logic == Logic::Sub);
    }

    fn forget_flags(&mut self) {
        self.compared = None;
    }

    fn select(
        &mut self,
        _: Condition,
        then: SymbolicValue,
        otherwise: SymbolicValue,
    ) -> SymbolicValue {
        if then == otherwise { then } else { self.plain(None) }
    }

    fn load(&mut self, address: SymbolicValue, bytes: u32, access: &Access) -> SymbolicValue {
        if access.is_store() {
            return self.plain(None);
        }
        if let Some(slot) = self.frame_slot(address) {
            return self.unspilled(slot, bytes);
        }
        if let Some(value) = number(address)
            .filter(|_| bytes == 8)
            .and_then(|address| constant_at(self.image, Svma(address)))
        {
            return SymbolicValue::Constant(value);
        }
        let id = self.fresh(None, None);
        match address {
            SymbolicValue::Slot { table, index, shift, .. }
                if 1_u32.checked_shl(shift) == Some(bytes) =>
            {
                let bytes = bytes.to_le_bytes()[0];
                SymbolicValue::Entry(TableEntry { table, index, bytes, sign: None, shift: 0, id })
            }
            _ => SymbolicValue::Plain(id, 0),
        }
    }

    /// A store through another pointer is taken not to change a spill slot.
    fn store(
        &mut self,
        address: SymbolicValue,
        bytes: u32,
        value: Option<SymbolicValue>,
        _: &Access,
    ) {
        let Some(slot) = self.frame_slot(address) else { return };
        let value = match value {
            Some(value) => number(value).map_or(value, SymbolicValue::Constant),
            None => self.plain(None),
        };
        self.frame.retain(|spill| spill.slot != slot || spill.bytes != bytes);
        self.frame.push(Spill { slot, bytes, value });
    }

    fn forget_memory(&mut self) {
        self.frame.clear();
        self.has_lost_frame = true;
    }
}
