//! Symbolic execution of a path, as far as the table of a BR needs it: constants, bounds of
//! indexes, entries of tables, and sums of these.

use super::access::also_writes;
use super::insn::{CALLEE_SAVED, Constant, INSN_BYTES, Insn, Register};
use super::operation::{self, Extend, LoadIndex, Operand, Operation};
use super::read_only::constant_at;
use super::recovered::RecoveredProgram;
use super::symbolic_value::{
    BaseAddress, Storage, SymbolicValue, TableEntry, ValueFacts, ValueId, base_of, slot,
};
use crate::addr::Svma;
use crate::image::Image;

/// The symbolic state after some instructions.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    values: Vec<ValueFacts>,
    registers: [SymbolicValue; 32],
    /// Values that were stored to the stack or loaded from it.
    stack: Vec<((Register, u64), SymbolicValue)>,
    /// Stack and frame pointers that have changed since the start of the trace.
    moved: Vec<Register>,
    /// The operands of the last comparison, while the flags are those of the comparison.
    compared: Option<(ValueId, u64)>,
}

impl Trace {
    /// The initial state: every value is unknown.
    pub(super) fn new() -> Self {
        let values = (0..32).map(|number| ValueFacts {
            bound: None,
            origin: Register::new(number).map(|register| (Storage::Register(register), 0)),
        });
        Self {
            values: values.collect(),
            registers: std::array::from_fn(|number| SymbolicValue::Plain(number, 0)),
            stack: Vec::new(),
            moved: Vec::new(),
            compared: None,
        }
    }

    /// The value of `register`.
    pub(super) fn value(&self, register: Register) -> SymbolicValue {
        self.registers[usize::from(register.number())]
    }

    /// The value at `location`; `None` for a stack slot that was not accessed.
    pub(super) fn kept_at(&self, location: Storage) -> Option<SymbolicValue> {
        match location {
            Storage::Register(register) => Some(self.value(register)),
            Storage::Stack(base, offset) => self.on_stack((base, offset)),
        }
    }

    fn on_stack(&self, slot: (Register, u64)) -> Option<SymbolicValue> {
        self.stack.iter().find(|(known, _)| *known == slot).map(|(_, value)| *value)
    }

    /// Whether `register` has changed since the start of the trace.
    pub(super) fn is_moved(&self, register: Register) -> bool {
        self.moved.contains(&register)
    }

    /// The facts known about a value of this trace.
    pub(super) fn known(&self, id: ValueId) -> ValueFacts {
        self.values.get(id).copied().unwrap_or_default()
    }

    /// Executes the instructions from `start` up to, not including, `end`.
    pub(super) fn run(
        &mut self,
        program: &RecoveredProgram<'_>,
        image: &Image<'_>,
        start: Svma,
        end: Svma,
    ) {
        let mut at = start;
        while at < end {
            let (Some(word), Some(insn)) = (program.word(at), program.insn(at)) else { return };
            self.step(image, word, insn);
            at = at.wrapping_add(INSN_BYTES);
        }
    }

    /// Applies the bound that a B.cond with this condition implies, whether it is taken or not.
    pub(super) fn branch(&mut self, condition: u32, is_taken: bool) {
        let Some((id, number)) = self.compared else { return };
        // C1.2.4: an even condition and the odd condition after it are opposites.
        let holds = if is_taken { condition } else { condition ^ 1 };
        let bound = match holds {
            // EQ, LS. LE too: a table has no negative indexes, so a compiler that uses a signed
            // comparison knows that the index is not negative.
            0 | 9 | 13 => number,
            // CC, LT.
            3 | 11 => match number.checked_sub(1) {
                Some(bound) => bound,
                None => return,
            },
            _ => return,
        };
        self.limit(id, bound);
    }

    fn limit(&mut self, id: ValueId, bound: u64) {
        if let Some(known) = self.values.get_mut(id) {
            known.bound = Some(known.bound.map_or(bound, |old| old.min(bound)));
        }
    }

    fn fresh(&mut self, bound: Option<u64>, origin: Option<(Storage, u64)>) -> ValueId {
        self.values.push(ValueFacts { bound, origin });
        self.values.len() - 1
    }

    fn set(&mut self, register: Register, value: SymbolicValue) {
        if is_frame(register) && !self.is_moved(register) {
            self.moved.push(register);
            self.stack.retain(|((base, _), _)| *base != register);
        }
        if register.number() < 31 {
            self.registers[usize::from(register.number())] = value;
        }
    }

    fn forget(&mut self, register: Register) {
        let value = SymbolicValue::Plain(self.fresh(None, None), 0);
        self.set(register, value);
    }

    /// The value of a register operand; number 31 is the zero register.
    fn operand(&self, register: Register) -> SymbolicValue {
        if register.number() == 31 { SymbolicValue::Constant(0) } else { self.value(register) }
    }

    fn step(&mut self, image: &Image<'_>, word: u32, insn: Insn) {
        match insn {
            Insn::Constant { register, value, is_word } => {
                let value = self.constant(image, register, value, is_word);
                self.set(register, value);
            }
            Insn::Call { .. } | Insn::CallRegister { .. } => {
                self.compared = None;
                for number in (0..31).filter(|number| !CALLEE_SAVED.contains(number)) {
                    let id = self.fresh(None, None);
                    self.registers[number] = SymbolicValue::Plain(id, 0);
                }
            }
            _ => self.operate(word, insn),
        }
    }

    fn constant(
        &mut self,
        image: &Image<'_>,
        to: Register,
        constant: Constant,
        is_word: bool,
    ) -> SymbolicValue {
        let cut =
            |value: u64| SymbolicValue::Constant(if is_word { value & 0xffff_ffff } else { value });
        let found = match constant {
            Constant::Value(value) => Some(cut(value)),
            Constant::Keep { bits, shift } => match self.value(to) {
                SymbolicValue::Constant(old) => Some(cut(old & !(0xffff << shift) | bits << shift)),
                _ => None,
            },
            Constant::Sum { from, add } => match self.value(from) {
                SymbolicValue::Constant(value) => Some(cut(value.wrapping_add_signed(add))),
                value if add == 0 => Some(value),
                SymbolicValue::Plain(id, 0) => {
                    let ValueFacts { bound, origin } = self.known(id);
                    let add = add.cast_unsigned();
                    let origin = origin.filter(|_| !is_word);
                    let origin = origin.map(|(from, by)| (from, by.wrapping_add(add)));
                    let bound = bound.and_then(|bound| bound.checked_add(add));
                    Some(SymbolicValue::Plain(self.fresh(bound, origin), 0))
                }
                _ => None,
            },
            Constant::Literal(at) => constant_at(image, at).map(SymbolicValue::Constant),
            Constant::Loaded { base, offset } => return self.loaded(image, base, offset),
        };
        found.unwrap_or_else(|| SymbolicValue::Plain(self.fresh(None, None), 0))
    }

    /// Loads 8 bytes from a register plus an offset.
    fn loaded(&mut self, image: &Image<'_>, base: Register, offset: u64) -> SymbolicValue {
        if is_frame(base) {
            return self.unspilled(base, offset);
        }
        let value = match self.value(base) {
            SymbolicValue::Constant(base) => {
                constant_at(image, Svma(base.wrapping_add(offset))).map(SymbolicValue::Constant)
            }
            _ => None,
        };
        value.unwrap_or_else(|| self.load(base, LoadIndex::Offset(offset), 8, None))
    }

    /// Loads 8 bytes from the stack.
    fn unspilled(&mut self, base: Register, offset: u64) -> SymbolicValue {
        if let Some(value) = self.on_stack((base, offset)) {
            return value;
        }
        let origin = (Storage::Stack(base, offset), 0);
        let value =
            SymbolicValue::Plain(self.fresh(None, (!self.is_moved(base)).then_some(origin)), 0);
        self.stack.push(((base, offset), value));
        value
    }

    /// Records a store to the stack. A store through another pointer is taken not to change a
    /// spill slot.
    fn spill(&mut self, source: Register, base: Register, offset: u64) {
        let value = self.operand(source);
        self.stack.retain(|(known, _)| *known != (base, offset));
        self.stack.push(((base, offset), value));
    }

    fn operate(&mut self, word: u32, insn: Insn) {
        match operation::decode(word) {
            Operation::Add { to, left, right, extend, shift } => {
                let right = self.extended(self.operand(right), extend, shift);
                // The left operand of the extended form may be the stack pointer.
                let value = self.sum(self.operand(left), right);
                self.set(to, value);
            }
            Operation::Field { to, from, low, left, extend } => {
                let value = self.field(self.operand(from), low, left, extend);
                self.set(to, value);
            }
            Operation::Mask { to, from, mask, sets_flags } => {
                let value = self.masked(self.operand(from), mask);
                self.set(to, value);
                if sets_flags {
                    self.compared = None;
                }
            }
            Operation::Compare { to, left, right } => self.compare(to, left, right),
            Operation::Load { to, base, index, bytes, sign } => {
                let value = self.load(base, index, bytes, sign);
                self.set(to, value);
            }
            Operation::Pair { first, second, base, offset, is_load } if is_frame(base) => {
                for (register, offset) in [(first, offset), (second, offset.wrapping_add(8))] {
                    if is_load {
                        let value = self.unspilled(base, offset);
                        self.set(register, value);
                    } else {
                        self.spill(register, base, offset);
                    }
                }
            }
            Operation::Store { source, base, offset } if is_frame(base) => {
                self.spill(source, base, offset);
            }
            Operation::Narrow { to, bytes } => {
                also_writes(word).into_iter().for_each(|register| self.forget(register));
                let value = SymbolicValue::Plain(self.fresh(Some((1 << (8 * bytes)) - 1), None), 0);
                self.set(to, value);
            }
            Operation::SetsFlags => {
                self.compared = None;
                self.forget_written(word, insn);
            }
            Operation::Pair { .. } | Operation::Store { .. } | Operation::Other => {
                self.forget_written(word, insn);
                also_writes(word).into_iter().for_each(|register| self.forget(register));
            }
        }
    }

    fn forget_written(&mut self, word: u32, insn: Insn) {
        if let Insn::Other { writes: Some(register) } = insn
            && (register.number() != 31 || operation::writes_stack_pointer(word))
        {
            self.forget(register);
        }
        // Exclusives and ordered accesses, compare and swap: the registers that they write depend
        // on the instruction (C4.1.94).
        if (word >> 25) & 0b0101 == 0b0100 && (word >> 27) & 7 == 1 {
            for bit in [0, 10, 16] {
                Register::new(((word >> bit) & 31) as u8).into_iter().for_each(|r| self.forget(r));
            }
        }
    }

    fn compare(&mut self, to: Option<Register>, left: Register, right: Operand) {
        let number = match right {
            Operand::Number(number) => Some(number),
            Operand::Register(register) => match self.operand(register) {
                SymbolicValue::Constant(number) => Some(number),
                _ => None,
            },
        };
        self.compared = self.id(self.operand(left)).zip(number);
        if let Some(to) = to {
            self.forget(to);
        }
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
        match value {
            SymbolicValue::Constant(value) => Some(value),
            value => self.known(self.id(value)?).bound,
        }
    }

    fn extended(&mut self, value: SymbolicValue, extend: Extend, shift: u32) -> SymbolicValue {
        if extend == (Extend { bits: 64, is_signed: false }) && shift == 0 {
            return value;
        }
        self.field(value, 0, shift, extend)
    }

    /// Extracts `extend.bits` bits of `value` from `low` upward and moves them to bit `left`.
    fn field(
        &mut self,
        value: SymbolicValue,
        low: u32,
        left: u32,
        extend: Extend,
    ) -> SymbolicValue {
        let mask = u64::MAX.checked_shr(64_u32.saturating_sub(extend.bits)).unwrap_or(0);
        let is_all = low == 0 && extend.bits.saturating_add(left) >= 32;
        match value {
            SymbolicValue::Constant(value) if !extend.is_signed => {
                return SymbolicValue::Constant((value >> low & mask) << left);
            }
            // The field covers a 32-bit index completely.
            SymbolicValue::Plain(id, shift) if is_all => {
                return SymbolicValue::Plain(id, shift + left);
            }
            SymbolicValue::Slot { id, .. } if is_all => return SymbolicValue::Plain(id, left),
            SymbolicValue::Entry(entry) if low == 0 => {
                // LSL of a 64-bit register extends nothing.
                let is_whole = extend.bits.saturating_add(left) >= 64;
                let kept = if is_whole { Some(entry) } else { entry.extended(extend) };
                if let Some(entry) = kept {
                    return SymbolicValue::Entry(TableEntry { shift: entry.shift + left, ..entry });
                }
            }
            _ => {}
        }
        let source = self.bound(value).map(|bound| bound.checked_shr(low).unwrap_or(0));
        let bound = (!extend.is_signed).then(|| source.map_or(mask, |bound| bound.min(mask)));
        SymbolicValue::Plain(self.fresh(bound, None), left)
    }

    fn masked(&mut self, value: SymbolicValue, mask: u64) -> SymbolicValue {
        if let SymbolicValue::Constant(value) = value {
            return SymbolicValue::Constant(value & mask);
        }
        let bound = self.bound(value).map_or(mask, |bound| bound.min(mask));
        SymbolicValue::Plain(self.fresh(Some(bound), None), 0)
    }

    fn sum(&mut self, left: SymbolicValue, right: SymbolicValue) -> SymbolicValue {
        let id = self.fresh(None, None);
        match (left, right) {
            (SymbolicValue::Constant(left), SymbolicValue::Constant(right)) => {
                SymbolicValue::Constant(left.wrapping_add(right))
            }
            (base, SymbolicValue::Entry(entry)) | (SymbolicValue::Entry(entry), base) => {
                base_of(base)
                    .map_or(SymbolicValue::Plain(id, 0), |base| SymbolicValue::Target(base, entry))
            }
            (left, right) => slot(left, right, id)
                .or_else(|| slot(right, left, id))
                .unwrap_or(SymbolicValue::Plain(id, 0)),
        }
    }

    fn load(
        &mut self,
        base: Register,
        index: LoadIndex,
        bytes: u8,
        sign: Option<u32>,
    ) -> SymbolicValue {
        let most = (sign.is_none() && bytes < 4).then(|| (1 << (8 * u32::from(bytes))) - 1);
        let id = self.fresh(most, None);
        let base = self.value(base);
        let from = match index {
            LoadIndex::Offset(0) => Some(base),
            LoadIndex::Offset(offset) => match base {
                SymbolicValue::Slot { table: BaseAddress::At(table), index, shift, id } => {
                    let table = BaseAddress::At(table.wrapping_add(offset));
                    Some(SymbolicValue::Slot { table, index, shift, id })
                }
                _ => None,
            },
            LoadIndex::Register(register, extend, shift) => {
                slot(base, self.extended(self.operand(register), extend, shift), id)
            }
        };
        match from {
            Some(SymbolicValue::Slot { table, index, shift, .. })
                if 1 << shift.min(8) == u32::from(bytes) =>
            {
                SymbolicValue::Entry(TableEntry { table, index, bytes, sign, shift: 0, id })
            }
            _ => SymbolicValue::Plain(id, 0),
        }
    }
}

/// Whether a register accesses the stack: SP or x29 (AAPCS64, 6.1.1).
const fn is_frame(register: Register) -> bool {
    matches!(register.number(), 29 | 31)
}
