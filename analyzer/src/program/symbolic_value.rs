//! Symbolic values of the registers on a path to a BR.

use crate::semantics::{Extend, Register};

/// Number of an unknown value. Numbers below 32 are the initial values of the registers.
pub(super) type ValueId = usize;

/// An address, or an unknown value that is an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaseAddress {
    /// The address.
    At(u64),
    /// The value that is the address.
    Value(ValueId),
}

impl BaseAddress {
    /// The address plus a number; `None` if it is not a constant.
    pub(super) const fn plus(self, add: u64) -> Option<Self> {
        match self {
            Self::At(at) => Some(Self::At(at.wrapping_add(add))),
            Self::Value(_) => None,
        }
    }
}

/// A value loaded from a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableEntry {
    /// Address of the first entry.
    pub(super) table: BaseAddress,
    /// The index of the entry, as a value.
    pub(super) index: ValueId,
    /// Size of an entry, in bytes: 1, 2, 4 or 8.
    pub(super) bytes: u8,
    /// The width of the sign extension, if the entry is sign-extended. The width is 64 if all
    /// later bits are determined.
    pub(super) sign: Option<u32>,
    /// Number of bits by which the entry is shifted left.
    pub(super) shift: u32,
    /// The entry as an unknown value.
    pub(super) id: ValueId,
}

impl TableEntry {
    /// Whether an entry with its highest bit set is negative.
    pub(super) const fn is_signed(&self) -> bool {
        self.sign.is_some()
    }

    /// The entry after an extension; `None` if the extension truncates it.
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
            // The bits above an unsigned entry are zero, whatever the extension.
            (None, _) => {}
            _ => return None,
        }
        Some(self)
    }

    /// The low 32 bits of the entry; `None` if they are not determined by the entry alone.
    pub(super) fn narrowed(mut self) -> Option<Self> {
        let own = u32::from(self.bytes) * 8;
        match self.sign {
            None if own + self.shift <= 32 => {}
            Some(_) if self.shift == 0 && own < 32 => self.sign = Some(32),
            Some(_) if self.shift == 0 && own == 32 => self.sign = None,
            _ => return None,
        }
        Some(self)
    }
}

/// The value of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SymbolicValue {
    /// A constant.
    Constant(u64),
    /// A constant that is an operand of the instruction: a displacement, not the address of a
    /// table. No register has such a value.
    Immediate(u64),
    /// An unknown value, shifted left.
    Plain(ValueId, u32),
    /// The address of an entry, or another sum. `id` is the sum as an unknown value.
    Slot { table: BaseAddress, index: ValueId, shift: u32, id: ValueId },
    /// An entry.
    Entry(TableEntry),
    /// The sum of an address and an entry.
    Target(BaseAddress, TableEntry),
}

/// The location of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Storage {
    /// In a register.
    Register(Register),
    /// On the stack, at an offset in bytes from the stack or frame pointer.
    Stack(Register, u64),
}

/// The facts known about an unknown value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ValueFacts {
    /// Its unsigned upper bound.
    pub(super) bound: Option<u64>,
    /// The initial value of a storage location, plus a number.
    pub(super) origin: Option<(Storage, u64)>,
}

/// The address of an entry: a base plus a scaled index.
pub(super) const fn slot(
    base: SymbolicValue,
    index: SymbolicValue,
    id: ValueId,
) -> Option<SymbolicValue> {
    let (index, shift) = match index {
        SymbolicValue::Plain(index, shift)
        | SymbolicValue::Entry(TableEntry { id: index, shift, .. }) => (index, shift),
        SymbolicValue::Slot { id: index, .. } => (index, 0),
        SymbolicValue::Constant(_) | SymbolicValue::Immediate(_) | SymbolicValue::Target(..) => {
            return None;
        }
    };
    match base_of(base) {
        Some(table) => Some(SymbolicValue::Slot { table, index, shift, id }),
        None => None,
    }
}

/// A value as the base address of a table or of its targets.
pub(super) const fn base_of(value: SymbolicValue) -> Option<BaseAddress> {
    match value {
        SymbolicValue::Constant(at) | SymbolicValue::Immediate(at) => Some(BaseAddress::At(at)),
        SymbolicValue::Plain(id, 0) => Some(BaseAddress::Value(id)),
        _ => None,
    }
}
