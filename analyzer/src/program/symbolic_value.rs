//! What a register may hold on the way to a BR.

use super::insn::Register;
use super::operation::Extend;

/// Number of a value that is not known; those below 32 are what the registers hold at the
/// start of the trace.
pub(super) type ValueId = usize;

/// An address that is known, or will be once the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaseAddress {
    /// The address.
    At(u64),
    /// The value that is the address.
    Value(ValueId),
}

/// What was loaded from a place that depends on an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableEntry {
    /// Where the first entry is.
    pub(super) table: BaseAddress,
    /// Number of the entry.
    pub(super) index: ValueId,
    /// Bytes of an entry: 1, 2, 4 or 8.
    pub(super) bytes: u8,
    /// The width that its sign is extended to, if it is; 64 where all else is decided.
    pub(super) sign: Option<u32>,
    /// How far it is shifted left.
    pub(super) shift: u32,
    /// The same as a value of its own.
    pub(super) id: ValueId,
}

impl TableEntry {
    /// Whether an entry is a negative number if its highest bit is set.
    pub(super) const fn is_signed(&self) -> bool {
        self.sign.is_some()
    }

    /// The entry extended; `None` if that cuts it.
    pub(super) fn extended(mut self, extend: Extend) -> Option<Self> {
        let own = u32::from(self.bytes) * 8;
        if extend.bits == 64 || self.sign == Some(64) && extend.bits == 32 && extend.is_signed {
            return Some(self);
        }
        if self.shift > 0 || extend.bits < own {
            return None;
        }
        match (self.sign, extend.is_signed) {
            (None, true) if extend.bits == own => self.sign = Some(64),
            (Some(_), false) if extend.bits == own => self.sign = None,
            (Some(32), true) if extend.bits == 32 => self.sign = Some(64),
            // What is above an entry without a sign is zero, whatever it is extended as.
            (None, _) => {}
            _ => return None,
        }
        Some(self)
    }
}

/// What a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SymbolicValue {
    /// A constant.
    Constant(u64),
    /// A value that is not known, shifted left.
    Plain(ValueId, u32),
    /// The address of an entry, or some other sum; `id` is the same as a value of its own.
    Slot { table: BaseAddress, index: ValueId, shift: u32, id: ValueId },
    /// An entry.
    Entry(TableEntry),
    /// An address and an entry added.
    Target(BaseAddress, TableEntry),
}

/// Where a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Storage {
    /// In a register.
    Register(Register),
    /// In memory, so many bytes above the stack or frame pointer.
    Stack(Register, u64),
}

/// What is known of a value that is not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ValueFacts {
    /// It is this or less, without sign.
    pub(super) bound: Option<u64>,
    /// It is what was here at the start of the trace, and a number.
    pub(super) origin: Option<(Storage, u64)>,
}

/// The address of an entry: a base, and an index that is scaled.
pub(super) const fn slot(
    base: SymbolicValue,
    index: SymbolicValue,
    id: ValueId,
) -> Option<SymbolicValue> {
    let (index, shift) = match index {
        SymbolicValue::Plain(index, shift)
        | SymbolicValue::Entry(TableEntry { id: index, shift, .. }) => (index, shift),
        SymbolicValue::Slot { id: index, .. } => (index, 0),
        SymbolicValue::Constant(_) | SymbolicValue::Target(..) => return None,
    };
    match base_of(base) {
        Some(table) => Some(SymbolicValue::Slot { table, index, shift, id }),
        None => None,
    }
}

/// A value as the address that a table or its entries count from.
pub(super) const fn base_of(value: SymbolicValue) -> Option<BaseAddress> {
    match value {
        SymbolicValue::Constant(at) => Some(BaseAddress::At(at)),
        SymbolicValue::Plain(id, 0) => Some(BaseAddress::Value(id)),
        _ => None,
    }
}
