//! The instructions of the model.

use jlctl_analyzer::semantics::Condition;

/// Number of a general register; 31 is the zero register.
pub(crate) type Reg = u8;

/// The zero register.
pub(crate) const ZR: Reg = 31;
/// The link register.
pub(crate) const LR: Reg = 30;
/// Index of the condition flags among the registers.
pub(crate) const FLAGS: Reg = 32;
/// Number of registers of a PE, with its flags.
pub(crate) const REGS: usize = 33;

/// Second operand of arithmetic, or offset of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// A constant.
    Imm(i64),
    /// A register, perhaps sign-extended from 32 bits.
    Reg {
        /// The register.
        reg: Reg,
        /// Whether the register is sign-extended (SXTW).
        sxtw: bool,
    },
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Alu {
    /// EOR.
    Eor,
    /// ADD.
    Add,
    /// SUB; with flags and no destination CMP.
    Sub,
    /// AND.
    And,
    /// ORR.
    Orr,
}

/// A condition, by its encoding (Arm ARM C1.2.4, "Condition code").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cond(pub u8);

impl Cond {
    /// Names by encoding.
    pub(crate) const NAMES: [&'static str; 15] =
        ["EQ", "NE", "CS", "CC", "MI", "PL", "VS", "VC", "HI", "LS", "GE", "LT", "GT", "LE", "AL"];

    /// The condition of that name, in capitals.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = match name {
            "HS" => "CS",
            "LO" => "CC",
            other => other,
        };
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(at).ok().map(Self)
    }

    /// Its opposite.
    #[must_use]
    pub(crate) const fn inverted(self) -> Self {
        Self(Condition(self.0).opposite().0)
    }

    /// Whether the condition holds for flags NZCV in bits 3 to 0.
    #[must_use]
    pub(crate) const fn holds(self, nzcv: u64) -> bool {
        Condition(self.0).holds(nzcv)
    }
}

/// The accesses that a barrier orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Barrier {
    /// All accesses: SY, ISH and the like.
    Full,
    /// Loads with everything younger: LD, ISHLD.
    Ld,
    /// Stores with stores: ST, ISHST.
    St,
}

/// Events that synchronise the context of a PE, and one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ContextSync {
    /// ISB.
    Isb,
    /// Exception entry.
    Entry,
    /// Exception return.
    Return,
    /// A message that is polled for, without exception entry and return.
    Nothing,
}

/// An instruction; targets are positions in the program's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Insn {
    /// NOP, and every instruction without effect.
    Nop,
    /// MOV of a constant, MOVZ, ADR.
    Const { d: Reg, value: u64 },
    /// Arithmetic; of 32 bits with `w`.
    Alu { op: Alu, d: Reg, n: Reg, m: Operand, w: bool, flags: bool },
    /// CSEL; with `inc` CSINC.
    Csel { d: Reg, n: Reg, m: Reg, cond: Cond, inc: bool, w: bool },
    /// LDR.
    Ldr { t: Reg, n: Reg, off: Operand, w: bool },
    /// STR, or STLR with `release`.
    Str { t: Reg, n: Reg, off: Operand, w: bool, release: bool },
    /// B.
    B { to: u16 },
    /// BL.
    Bl { to: u16 },
    /// B.cond.
    BCond { cond: Cond, to: u16 },
    /// CBZ, or CBNZ with `nonzero`.
    Cb { t: Reg, nonzero: bool, w: bool, to: u16 },
    /// TBZ, or TBNZ with `nonzero`.
    Tb { t: Reg, bit: u8, nonzero: bool, to: u16 },
    /// BR and RET, or BLR with `link`.
    Br { n: Reg, link: bool },
    /// DMB.
    Dmb(Barrier),
    /// DSB.
    Dsb(Barrier),
    /// ISB, exception entry and return.
    Sync(ContextSync),
    /// DC CVAU.
    Dc { n: Reg },
    /// IC IVAU.
    Ic { n: Reg },
    /// IC IALLU: this PE's instruction cache alone.
    IcAll,
    /// The end of a loop that loads until it finds `value`: a load of that value, and a branch that
    /// depends on the load.
    Await { n: Reg, value: u64 },
    /// The call of the patching PE returns; the event orders nothing.
    Returned,
    /// Waits for [`Self::Returned`] without ordering anything.
    Observe,
    /// A word that is no instruction of the model: the PE stops.
    Undefined,
    /// The end of a PE's program.
    End,
}

/// The kinds of instructions that the ordering rules distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A load.
    Load,
    /// A store.
    Store,
    /// DC.
    Dc,
    /// IC.
    Ic,
    /// Any other instruction.
    Other,
}

impl Insn {
    /// The kind of the instruction.
    #[must_use]
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Ldr { .. } | Self::Await { .. } => Kind::Load,
            Self::Str { .. } => Kind::Store,
            Self::Dc { .. } => Kind::Dc,
            Self::Ic { .. } | Self::IcAll => Kind::Ic,
            _ => Kind::Other,
        }
    }

    /// Base register and offset of the access.
    #[must_use]
    pub(crate) const fn address(&self) -> Option<(Reg, Operand)> {
        match *self {
            Self::Ldr { n, off, .. } | Self::Str { n, off, .. } => Some((n, off)),
            Self::Dc { n } | Self::Ic { n } | Self::Await { n, .. } => Some((n, Operand::Imm(0))),
            _ => None,
        }
    }

    /// The register that the instruction writes.
    #[must_use]
    pub(crate) const fn writes(&self) -> Option<Reg> {
        let reg = match *self {
            Self::Const { d, .. } | Self::Csel { d, .. } => d,
            Self::Alu { flags: true, .. } => FLAGS,
            Self::Alu { d, .. } => d,
            Self::Ldr { t, .. } => t,
            Self::Bl { .. } | Self::Br { link: true, .. } => LR,
            _ => return None,
        };
        if reg == ZR { None } else { Some(reg) }
    }

    /// Whether the instruction can continue elsewhere than at the next instruction.
    #[must_use]
    pub(crate) const fn is_branch(&self) -> bool {
        matches!(
            self,
            Self::B { .. }
                | Self::Bl { .. }
                | Self::BCond { .. }
                | Self::Cb { .. }
                | Self::Tb { .. }
                | Self::Br { .. }
        )
    }
}
