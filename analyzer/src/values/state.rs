//! The registers, the known memory and the flags at one point, as a machine that operations are
//! executed on.

use super::memory::{KnownWords, Location};
use super::value::{Distance, Origin, Path, Value};
use crate::addr::Svma;
use crate::dataflow::Lattice;
use crate::image::Image;
use crate::program::constant_at;
use crate::semantics::{
    Access, Condition, Control, Extend, Logic, Machine, Operand, Operation, Register, Shift, Test,
    Width, effective_address, execute,
};

/// The operands of the last comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Comparison {
    logic: Logic,
    left: Value,
    right: Value,
    width: Width,
}

/// What is known at one point of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueState {
    registers: [Value; Register::COUNT],
    words: KnownWords,
    flags: Option<Comparison>,
}

impl ValueState {
    /// The state at the entry of a function.
    #[must_use]
    pub fn at_entry() -> Self {
        let registers = std::array::from_fn(|number| match u8::try_from(number) {
            Ok(number) if number < 31 => Value::of(Origin::Entry(number)),
            _ => Value::of(Origin::Stack),
        });
        Self { registers, words: KnownWords::default(), flags: None }
    }

    /// The value of a register.
    #[must_use]
    pub fn get(&self, register: Register) -> Value {
        self.registers[usize::from(register.number())]
    }

    /// The value in the register of a parameter or result, by its number below 31.
    #[must_use]
    pub fn argument(&self, number: usize) -> Value {
        self.registers.get(number).copied().unwrap_or(Value::Unknown)
    }

    /// Sets the register of a parameter or result.
    pub fn set_argument(&mut self, number: usize, value: Value) {
        if let Some(register) = self.registers.get_mut(number) {
            *register = value;
        }
    }

    /// The known value of a word of memory.
    #[must_use]
    pub fn word(&self, at: Location) -> Option<Value> {
        self.words.get(at)
    }

    /// Records the value of a word of memory.
    pub fn set_word(&mut self, at: Location, value: Value) {
        self.words.set(at, Some(value));
    }

    /// The known words of data, without those of the stack.
    pub fn data_words(&self) -> impl Iterator<Item = (Location, Value)> {
        self.words.data()
    }

    /// All memory but the stack may have changed.
    pub fn forget_data(&mut self) {
        self.words.forget_all_but_stack();
    }

    /// Forgets values that were loaded from data that can change, because they have changed: those
    /// at `address`, or all.
    pub fn forget_loaded(&mut self, address: Option<u64>) {
        let is_gone = |value: Value| match value.path().map(Path::origin) {
            Some(Origin::Word(at)) => address.is_none_or(|address| address == at),
            _ => false,
        };
        for register in &mut self.registers {
            if is_gone(*register) {
                *register = Value::Unknown;
            }
        }
        self.words.retain_values(|value| !is_gone(value));
        if self.flags.is_some_and(|flags| is_gone(flags.left) || is_gone(flags.right)) {
            self.flags = None;
        }
    }

    /// Applies a call at `at`, whose result is a value of its own. What it does to memory is the
    /// caller's to say, except for stack memory whose address it gets.
    pub fn call(&mut self, image: &Image<'_>, at: Svma) {
        for number in 0..8 {
            let argument = self.registers[number];
            match argument {
                Value::At(_, Distance::Exactly(offset)) if argument.is_on_stack() => {
                    self.words.forget_stack_from(offset);
                }
                _ if argument.is_on_stack() => self.words.forget_stack(),
                _ => {}
            }
        }
        let call = Operation::Control(Control::Call { to: at });
        execute(&call, &mut Executor { state: self, image, at });
        self.registers[0] = Value::of(Origin::Result(at));
    }

    /// Executes one instruction at `at`.
    pub fn execute(&mut self, image: &Image<'_>, at: Svma, operation: &Operation) {
        match operation {
            Operation::Control(Control::Call { .. } | Control::CallRegister { .. }) => {
                self.call(image, at);
            }
            _ => {
                execute(operation, &mut Executor { state: self, image, at });
                if *operation == Operation::Control(Control::SupervisorCall) {
                    self.registers[0] = Value::of(Origin::Result(at));
                }
            }
        }
    }

    /// The address of an access by the instruction at `at`.
    #[must_use]
    pub fn address(&mut self, image: &Image<'_>, at: Svma, access: &Access) -> Value {
        effective_address(&mut Executor { state: self, image, at }, access)
    }

    /// The value of an operand, in 64 bits.
    #[must_use]
    pub fn operand(&self, operand: Operand) -> Value {
        match operand {
            Operand::Number(number) => Value::Number(number),
            Operand::Register(register) => self.get(register),
            Operand::Shifted(..) => Value::Unknown,
        }
    }

    /// Restricts the state to executions in which the test is met, or is not. Returns false if
    /// there is none.
    pub fn assume(&mut self, test: Test, is_met: bool) -> bool {
        match test {
            Test::Zero { register, width, is_not } => {
                let value = register.map_or(Value::Number(0), |register| self.get(register));
                self.assume_equal(value, 0, width, is_met != is_not)
            }
            Test::Bit { register, bit, is_not } => {
                let value = register.map_or(Value::Number(0), |register| self.get(register));
                let is_clear = is_met != is_not;
                match value.as_number() {
                    Some(number) => (number >> bit & 1 == 0) == is_clear,
                    None => {
                        if !is_clear {
                            self.learn(value, Value::NOT_ZERO);
                        }
                        is_clear || value.is_zero() != Some(true)
                    }
                }
            }
            Test::Flags(condition) => self.assume_flags(condition, is_met),
            Test::Patched => true,
        }
    }

    /// The value that a test compares with a number.
    #[must_use]
    pub fn tested(&self, test: Test) -> Option<Value> {
        match test {
            Test::Zero { register, .. } | Test::Bit { register, .. } => Some(self.get(register?)),
            Test::Flags(Condition(0 | 1)) => {
                let Comparison { logic, left, right, .. } = self.flags?;
                let is_test = logic == Logic::And && left == right;
                (is_test || logic == Logic::Sub && right.as_number().is_some()).then_some(left)
            }
            Test::Flags(_) | Test::Patched => None,
        }
    }

    fn assume_flags(&mut self, condition: Condition, is_met: bool) -> bool {
        let Some(Comparison { logic, left, right, width }) = self.flags else { return true };
        let condition = if is_met { condition } else { condition.opposite() };
        let is_equal = match condition {
            Condition::EQ => true,
            Condition(1) => false,
            _ => return true,
        };
        match (logic, right) {
            (Logic::Sub, Value::Number(number)) => self.assume_equal(left, number, width, is_equal),
            // TST of a value with itself.
            (Logic::And, _) if left == right => self.assume_equal(left, 0, width, is_equal),
            _ => true,
        }
    }

    /// The value is this number, or is not.
    fn assume_equal(&mut self, value: Value, number: u64, width: Width, is_equal: bool) -> bool {
        let number = number & width.mask();
        let known = match value.as_number() {
            Some(value) => Some(value & width.mask() == number),
            None if number == 0 => value.is_zero(),
            None => None,
        };
        if known.is_some_and(|known| known != is_equal) {
            return false;
        }
        match (is_equal, number) {
            (true, number) => self.learn(value, Value::Number(number)),
            (false, 0) => self.learn(value, Value::NOT_ZERO),
            _ => {}
        }
        true
    }

    /// Replaces an exact path by what was learnt about it, wherever it is held.
    fn learn(&mut self, value: Value, learnt: Value) {
        let Some(path) = value.exact() else { return };
        self.registers.iter_mut().filter(|held| **held == value).for_each(|held| *held = learnt);
        self.words.learn(value, learnt);
        match (path.origin(), path.container()) {
            (Origin::Word(at), None) => self.words.set(Location::Address(at), Some(learnt)),
            (_, Some((container, Some(offset)))) => {
                self.words.set(Location::Path(container, offset), Some(learnt));
            }
            _ => {}
        }
    }
}

impl Lattice for ValueState {
    fn join(&mut self, other: &Self) -> bool {
        let mut changes = false;
        for (held, other) in self.registers.iter_mut().zip(other.registers) {
            let joined = held.or(other);
            changes |= joined != *held;
            *held = joined;
        }
        if self.flags != other.flags {
            changes |= self.flags.take().is_some();
        }
        changes | self.words.join(&other.words)
    }
}

/// A state while an instruction is executed on it.
struct Executor<'a, 'b, 'data> {
    state: &'a mut ValueState,
    image: &'b Image<'data>,
    /// The instruction.
    at: Svma,
}

impl Machine for Executor<'_, '_, '_> {
    type Value = Value;

    fn get(&self, register: Register) -> Value {
        self.state.get(register)
    }

    fn set(&mut self, register: Register, value: Value) {
        self.state.registers[usize::from(register.number())] = value;
    }

    fn number(&mut self, number: u64) -> Value {
        Value::Number(number)
    }

    fn unknown(&mut self) -> Value {
        Value::Unknown
    }

    /// A 32-bit register is taken for the 64-bit register with the same value.
    fn narrow(&mut self, value: Value) -> Value {
        match value {
            Value::Number(number) => Value::Number(number & Width::Word.mask()),
            _ => value,
        }
    }

    fn shifted(&mut self, value: Value, extend: Extend, shift: Shift, width: Width) -> Value {
        if let Value::Number(number) = value {
            return Value::Number(shift.apply(number, extend, width));
        }
        let is_whole = extend.bits >= 32;
        match shift {
            Shift::Left(0) | Shift::Right(0) if is_whole => value,
            Shift::Left(0) | Shift::Right(0) => match value {
                // A byte or half-word is as it was loaded.
                Value::At(..) => value,
                _ => Value::computed(self.at),
            },
            _ => Value::computed(self.at),
        }
    }

    fn binary(&mut self, logic: Logic, left: Value, right: Value, width: Width) -> Value {
        if let (Value::Number(left), Value::Number(right)) = (left, right) {
            return Value::Number(logic.apply(left, right, width));
        }
        match (logic, left, right) {
            (Logic::Add, value, Value::Number(add)) | (Logic::Add, Value::Number(add), value) => {
                value.plus(signed(add, width))
            }
            (Logic::Sub, value, Value::Number(sub)) => {
                value.plus(signed(sub, width).wrapping_neg())
            }
            (Logic::Or | Logic::Xor, value, Value::Number(0))
            | (Logic::Or | Logic::Xor, Value::Number(0), value) => value,
            // A page mask, as a number or as the negated page size.
            (Logic::And, Value::At(path, _), Value::Number(mask)) if is_alignment(mask, width) => {
                Value::At(path, Distance::Aligned)
            }
            (Logic::AndNot, Value::At(path, _), Value::Number(mask))
                if is_alignment(!mask, width) =>
            {
                Value::At(path, Distance::Aligned)
            }
            // x - x % n, and x & -n with n from getpagesize.
            (Logic::Sub, Value::At(path, _), Value::At(other, Distance::Somewhere))
                if path == other =>
            {
                Value::At(path, Distance::Aligned)
            }
            // x / n * n.
            (Logic::DivUnsigned, Value::At(path, Distance::Exactly(_)), _) => {
                Value::At(path, Distance::Quotient)
            }
            (Logic::Mul, Value::At(path, Distance::Quotient), _)
            | (Logic::Mul, _, Value::At(path, Distance::Quotient)) => {
                Value::At(path, Distance::Aligned)
            }
            (Logic::And | Logic::AndNot, Value::At(..), _) => left.moved(),
            _ => combined(logic, left, right, self.at),
        }
    }

    fn compare(&mut self, logic: Logic, left: Value, right: Value, width: Width) {
        self.state.flags = Some(Comparison { logic, left, right, width });
    }

    fn forget_flags(&mut self) {
        self.state.flags = None;
    }

    fn select(&mut self, _: Condition, then: Value, otherwise: Value) -> Value {
        then.or(otherwise)
    }

    fn load(&mut self, address: Value, bytes: u32, _: &Access) -> Value {
        if let Value::At(path, Distance::Indexed(..)) = address {
            return path
                .loaded_by_index()
                .map_or(Value::computed(self.at), |path| Value::At(path, Distance::Exactly(0)));
        }
        let Some(at) = Location::of(address) else { return Value::computed(self.at) };
        if let Some(known) = self.state.words.get(at) {
            return known;
        }
        match at {
            Location::Address(at) => {
                let constant = constant_at(self.image, Svma(at));
                match constant {
                    Some(number) if bytes == 8 => Value::Number(number),
                    _ => Value::of(Origin::Word(at)),
                }
            }
            Location::Path(path, offset) if !at.is_stack() => path
                .loaded(i64::from(offset))
                .map_or(Value::Unknown, |path| Value::At(path, Distance::Exactly(0))),
            // An argument on the stack.
            Location::Path(..) => Value::Unknown,
        }
    }

    fn store(&mut self, address: Value, bytes: u32, value: Option<Value>, _: &Access) {
        let Some(at) = Location::of(address) else {
            if address.is_on_stack() {
                self.state.words.forget_stack();
            } else {
                self.state.words.forget_all_but_stack();
            }
            return;
        };
        let is_whole = |value: &Value| {
            bytes >= 4 || value.as_number().is_some_and(|number| number < 1 << (8 * bytes.min(7)))
        };
        self.state.words.set(at, value.filter(is_whole));
    }

    fn forget_memory(&mut self) {
        self.state.words = KnownWords::default();
    }
}

/// A number as a signed distance.
const fn signed(number: u64, width: Width) -> i64 {
    match width {
        Width::Double => number.cast_signed(),
        Width::Word => Extend { bits: 32, is_signed: true }.apply(number).cast_signed(),
    }
}

/// Whether a mask clears low bits of an address only, at least those within a page of 4 KiB.
const fn is_alignment(mask: u64, width: Width) -> bool {
    let cleared = !mask;
    matches!(width, Width::Double) && cleared >= 0xfff && cleared & cleared.wrapping_add(1) == 0
}

/// The result for two values, of which at most one is a number: a pointer that an index or bits
/// were added to.
fn combined(logic: Logic, left: Value, right: Value, at: Svma) -> Value {
    match (logic, left, right) {
        (Logic::Add, Value::At(..), Value::At(..)) => Value::computed(at),
        (Logic::Add, Value::At(..), _) => left.indexed(right, at),
        (Logic::Add, _, Value::At(..)) => right.indexed(left, at),
        (Logic::Sub, Value::At(..), _) => left.moved(),
        // Bits of a value are replaced: it is the one of which some were cleared.
        (Logic::Or | Logic::Xor, Value::At(_, Distance::Somewhere), _) => left,
        (Logic::Or | Logic::Xor, _, Value::At(_, Distance::Somewhere)) => right,
        (Logic::Or | Logic::Xor | Logic::And | Logic::AndNot, Value::At(..), Value::Number(_)) => {
            left.moved()
        }
        (Logic::And, Value::Number(_), Value::At(..)) => right.moved(),
        _ => Value::computed(at),
    }
}
