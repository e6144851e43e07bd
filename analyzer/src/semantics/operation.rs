//! What one instruction does.

use super::access::Access;
use super::control::{Condition, Control};
use super::operand::{Extend, Logic, Operand, Register, RegisterSet, Width};

/// What one instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Changes no general-purpose register, no flag and no memory: hints, prefetches, operations
    /// on vector registers only, system registers.
    Nothing,
    /// Control flow, barriers, caches, system calls.
    Control(Control),
    /// `to` = `value`.
    Set {
        /// Destination.
        to: Register,
        /// The value.
        value: u64,
    },
    /// Replaces the bits of `mask` in `to` by `bits`.
    Insert {
        /// Destination and source.
        to: Register,
        /// The replaced bits.
        mask: u64,
        /// Their new value.
        bits: u64,
        /// Width of the operation.
        width: Width,
    },
    /// `to` = `left` operator `right`.
    Binary {
        /// Destination; `None` if the result is dropped.
        to: Option<Register>,
        /// The operator.
        logic: Logic,
        /// Left operand.
        left: Operand,
        /// Right operand.
        right: Operand,
        /// Width of the operation.
        width: Width,
        /// Whether it sets the flags.
        sets_flags: bool,
    },
    /// Takes the bits of `from` from `low` upward, extends them, and shifts them left.
    Field {
        /// Destination.
        to: Register,
        /// Source.
        from: Option<Register>,
        /// The lowest bit that is taken.
        low: u32,
        /// The number of bits, and the extension.
        extend: Extend,
        /// Shift to the left.
        left: u32,
        /// Whether the other bits of `to` are kept.
        keeps: bool,
        /// Width of the operation.
        width: Width,
    },
    /// `to` = `then` if the condition holds, else `otherwise` after `change`.
    Select {
        /// Destination.
        to: Option<Register>,
        /// The condition.
        condition: Condition,
        /// The value if it holds.
        then: Operand,
        /// The value if it does not.
        otherwise: Operand,
        /// The value that is added to `otherwise`, after the complement.
        increment: u64,
        /// Whether `otherwise` is complemented.
        complements: bool,
        /// Width of the operation.
        width: Width,
    },
    /// Sets the flags from a comparison, or to a constant if the condition does not hold.
    ConditionalCompare,
    /// Changes the flags in another way, and these registers to values that are not modelled.
    SetsFlags(RegisterSet),
    /// Loads or stores.
    Access(Access),
    /// Changes these registers, to values that are not modelled.
    Changes(RegisterSet),
    /// May change any register and memory: an instruction that is not decoded.
    Unknown,
}
