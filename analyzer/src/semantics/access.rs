//! Loads, stores and atomic operations.

use super::operand::{Extend, Operand, Register, Width};
use crate::addr::Svma;

/// The address of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// A constant address.
    At(Svma),
    /// A register plus a number of bytes.
    Offset(Register, i64),
    /// A register plus another, which is extended and shifted left.
    Indexed(Register, Register, Extend, u32),
}

/// Change of the base register by the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Update {
    /// No change.
    None,
    /// Adds a number of bytes, after the address was computed.
    Add(Register, i64),
    /// A change that is not modelled.
    Unknown(Register),
}

/// What an access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Loads one or two registers.
    Load {
        /// The destinations.
        to: [Option<Register>; 2],
        /// Extension of the loaded value.
        extend: Extend,
        /// Width of the result.
        width: Width,
    },
    /// Stores one or two values.
    Store {
        /// The values.
        from: [Operand; 2],
        /// The register that gets 0 if the store succeeded; for exclusive stores.
        status: Option<Register>,
    },
    /// Replaces memory by a function of its content and of `from`, and loads the old content.
    Atomic {
        /// The destinations of the old content.
        to: [Option<Register>; 2],
        /// The new value, for a swap.
        swap: Option<Operand>,
    },
    /// Loads vector registers.
    VectorLoad,
    /// Stores vector registers.
    VectorStore,
}

/// One instruction that accesses memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// The address.
    pub address: Address,
    /// Size of the access of each register, in bytes. For vectors, the size of all.
    pub bytes: u32,
    /// The number of registers: 1 or 2.
    pub count: u32,
    /// Change of the base.
    pub update: Update,
    /// Whether it is a load-acquire or a store-release.
    pub is_ordered: bool,
    /// Whether it is exclusive.
    pub is_exclusive: bool,
}

impl Access {
    /// Whether it writes memory.
    #[must_use]
    pub const fn is_store(&self) -> bool {
        !matches!(self.kind, AccessKind::Load { .. } | AccessKind::VectorLoad)
    }

    /// Whether it reads memory.
    #[must_use]
    pub const fn is_load(&self) -> bool {
        !matches!(self.kind, AccessKind::Store { .. } | AccessKind::VectorStore)
    }

    /// The register that holds the address or the base.
    #[must_use]
    pub const fn base(&self) -> Option<Register> {
        match self.address {
            Address::At(_) => None,
            Address::Offset(base, _) | Address::Indexed(base, ..) => Some(base),
        }
    }
}
