//! Operations that change the control flow, synchronise, or maintain caches.

use super::operand::{Register, Width};
use crate::addr::Svma;

/// A condition on the flags (Arm ARM C1.2.4). An even number and the odd one after it are
/// opposites; 14 and 15 always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition(pub u8);

impl Condition {
    /// Equal.
    pub const EQ: Self = Self(0);
    /// Unsigned lower.
    pub const LO: Self = Self(3);
    /// Unsigned lower or same.
    pub const LS: Self = Self(9);
    /// Signed less.
    pub const LT: Self = Self(11);
    /// Signed less or equal.
    pub const LE: Self = Self(13);

    /// The opposite condition.
    #[must_use]
    pub const fn opposite(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// Whether the condition holds for flags NZCV in bits 3 to 0 (Arm ARM J1, `ConditionHolds`).
    #[must_use]
    pub const fn holds(self, nzcv: u64) -> bool {
        let (n, z, c, v) = (nzcv & 8 != 0, nzcv & 4 != 0, nzcv & 2 != 0, nzcv & 1 != 0);
        let result = match self.0 >> 1 {
            0 => z,
            1 => c,
            2 => n,
            3 => v,
            4 => c && !z,
            5 => n == v,
            6 => n == v && !z,
            _ => return true,
        };
        result != (self.0 & 1 == 1)
    }
}

/// The test of a conditional branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// The branch is taken if the flags meet the condition.
    Flags(Condition),
    /// The branch is taken if the register, in this width, is zero; with `is_not`, if it is not.
    Zero {
        /// The register; `None` for the zero register.
        register: Option<Register>,
        /// The width of the comparison.
        width: Width,
        /// Whether the test is inverted.
        is_not: bool,
    },
    /// The branch is taken if the bit is clear; with `is_not`, if it is set.
    Bit {
        /// The register; `None` for the zero register.
        register: Option<Register>,
        /// The number of the bit.
        bit: u8,
        /// Whether the test is inverted.
        is_not: bool,
    },
    /// A jump-label site: the kernel decides at run time.
    Patched,
}

/// The kind of a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Barrier {
    /// A context synchronisation event on this PE.
    Isb,
    /// Waits for earlier accesses and maintenance, in the inner shareable domain or in a domain
    /// that includes it.
    Dsb,
    /// A weaker DSB: for this PE only (NSH), or for loads or stores only, which completes no
    /// maintenance.
    WeakDsb,
    /// Orders data accesses.
    Dmb,
}

/// A cache maintenance operation, by virtual address or for the whole cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheOp {
    /// DC CVAU and the stronger cleans (CVAC, CVAP, CIVAC).
    CleanData,
    /// IC IVAU, broadcast in the inner shareable domain.
    InvalidateInsn,
    /// IC IALLUIS: the whole cache, broadcast in the inner shareable domain.
    InvalidateAll,
    /// IC IALLU: the whole cache of this PE only.
    InvalidateLocal,
}

/// An operation that changes the control flow, synchronises, or maintains caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// A direct jump.
    Jump {
        /// The target.
        to: Svma,
    },
    /// A conditional branch.
    Branch {
        /// The target if the branch is taken.
        to: Svma,
        /// When it is taken.
        test: Test,
    },
    /// A direct call.
    Call {
        /// The target.
        to: Svma,
    },
    /// A call through a register.
    CallRegister {
        /// The register that holds the target.
        register: Register,
    },
    /// A jump through a register.
    JumpRegister {
        /// The register that holds the target.
        register: Register,
    },
    /// A return to the caller.
    Return,
    /// A return from an exception.
    ExceptionReturn,
    /// A system call.
    SupervisorCall,
    /// A call of the hypervisor or of firmware, which may change x0 to x17 (SMCCC, 2.6).
    FirmwareCall,
    /// Execution does not continue with the next instruction.
    Trap,
    /// A barrier.
    Barrier(Barrier),
    /// Cache maintenance.
    Cache(CacheOp, Option<Register>),
}

impl Control {
    /// The target of a direct branch or call.
    #[must_use]
    pub const fn target(self) -> Option<Svma> {
        match self {
            Self::Jump { to } | Self::Branch { to, .. } | Self::Call { to } => Some(to),
            _ => None,
        }
    }

    /// The operation with another target, if it is a direct branch or call.
    #[must_use]
    pub(crate) const fn with_target(self, to: Svma) -> Self {
        match self {
            Self::Jump { .. } => Self::Jump { to },
            Self::Branch { test, .. } => Self::Branch { to, test },
            Self::Call { .. } => Self::Call { to },
            other => other,
        }
    }

    /// Whether the instruction ends its basic block.
    #[must_use]
    pub const fn ends_block(self) -> bool {
        matches!(
            self,
            Self::Jump { .. }
                | Self::Branch { .. }
                | Self::JumpRegister { .. }
                | Self::Return
                | Self::ExceptionReturn
                | Self::Trap
        )
    }
}
