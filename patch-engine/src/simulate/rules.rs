//! The assumptions of the model: the cache type of the PEs, and the rules.
//!
//! [`RuleSet`] can lack any rule, and tests show that some verdict changes without it: a rule that
//! no verdict depends on is untested, or no rule.

/// CTR_EL0.DIC and CTR_EL0.IDC (Arm ARM D24.2.34, "CTR_EL0"). DIC=1 with IDC=0 is no type of its
/// own, since the model does not distinguish it from DIC=1 with IDC=1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheType {
    /// Data must be cleaned and instructions invalidated to the point of unification.
    Dic0Idc0,
    /// Writes reach the point of unification without cleaning.
    Dic0Idc1,
    /// Neither is needed; a context synchronising event still is.
    Dic1Idc1,
}

impl CacheType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dic0Idc0, Self::Dic0Idc1, Self::Dic1Idc1];

    /// Name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dic0Idc0 => "dic0-idc0",
            Self::Dic0Idc1 => "dic0-idc1",
            Self::Dic1Idc1 => "dic1-idc1",
        }
    }

    /// Whether fetches read memory, so that nothing needs to be invalidated.
    #[must_use]
    pub const fn dic(self) -> bool {
        matches!(self, Self::Dic1Idc1)
    }

    /// Whether writes go straight to memory, so that nothing needs to be cleaned.
    #[must_use]
    pub const fn idc(self) -> bool {
        !matches!(self, Self::Dic0Idc0)
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule of the model.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

rules! {
    /// DC CVAU moves the writes of its line from the data side to memory.
    DcUnifies,
    /// DC CVAU waits for older accesses to its line, and younger ones for it.
    DcInLineOrder,
    /// DSB waits for older DCs.
    DsbAfterDc,
    /// A full DMB orders DCs with accesses and with each other.
    DmbOrdersDc,
    /// IC removes what an instruction cache holds of its line.
    IcInvalidates,
    /// IC IVAU reaches every PE, not only its own.
    IcReachesAll,
    /// DSB waits for older ICs to be complete everywhere.
    DsbAfterIc,
    /// A full DMB does not wait for ICs; without this rule it does.
    DmbIgnoresIc,
    /// IC waits for older DSBs.
    IcAfterDsb,
    /// DC and IC are not executed speculatively.
    MaintenanceAfterBranches,
    /// After an ISB, all younger instructions are fetched again.
    IsbFlushes,
    /// ISB waits for older DSBs.
    IsbAfterDsb,
    /// ISB waits for older branches.
    IsbAfterBranches,
    /// ISB waits for the addresses of older accesses.
    IsbAfterAddresses,
    /// Exception entry and return are context synchronising events (FEAT_ExS absent,
    /// or EIS=1 and EOS=1).
    ExceptionsSynchronise,
    /// With DIC=1 a fetch reads memory.
    DicFetchesMemory,
    /// With IDC=1 a write goes straight to memory.
    IdcUnifies,
    /// A full DMB orders accesses.
    DmbFull,
    /// DMB LD orders loads with everything younger.
    DmbLd,
    /// DMB ST orders stores.
    DmbSt,
    /// A full DSB orders accesses with everything but fetches.
    DsbFull,
    /// DSB LD waits for loads.
    DsbLd,
    /// DSB ST waits for stores.
    DsbSt,
    /// STLR waits for all older accesses.
    Release,
    /// Stores wait for older branches (control dependencies).
    StoresAfterBranches,
    /// Stores wait for the addresses of older accesses.
    StoresAfterAddresses,
    /// A store waits for older accesses to its address.
    StoresInOrder,
    /// A load does not read an older write than an older load of its address has read.
    LoadsInOrder,
    /// A load reads the youngest older store to its address, propagated or not.
    Forwarding,
    /// Words outside of the list of the Arm ARM may not be modified concurrently with their
    /// execution.
    ModifiableWords,
}

/// The rules that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSet(u32);

impl RuleSet {
    /// All rules: the architecture.
    #[must_use]
    pub const fn all() -> Self {
        Self(u32::MAX)
    }

    /// All rules of `self` except one.
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    /// Whether `rule` holds.
    #[must_use]
    pub const fn has(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u32) != 0
    }
}

const _: () = assert!(Rule::ALL.len() <= 32, "a bit for each rule");
