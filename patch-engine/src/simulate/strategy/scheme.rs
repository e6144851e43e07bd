//! Ways to patch code that other PEs execute, by the names that engineers give them.

/// How other PEs are made to see the new words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Not at all: arm64 up to the fix of July 2024, seen from another PE.
    Nosync,
    /// An ISB on the patching PE: the same defect, as `caches_clean_inval_pou` has it.
    IsbSelf,
    /// For each site all others wait while one patches (`kernel/stop_machine.c`).
    StopMachine,
    /// An acknowledged interrupt to all for each site.
    Ipi,
    /// One acknowledged interrupt after all sites (`kick_all_cpus_sync`).
    Kick,
    /// The interrupt before the cache maintenance: a mistake.
    KickBefore,
    /// A message that is polled for, without exception entry and return: a mistake.
    KickNoCse,
    /// membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE.
    MembarrierSyncCore,
    /// A signal to every thread, whose handler acknowledges.
    Signal,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Nosync,
        Self::IsbSelf,
        Self::StopMachine,
        Self::Ipi,
        Self::Kick,
        Self::KickBefore,
        Self::KickNoCse,
        Self::MembarrierSyncCore,
        Self::Signal,
    ];

    /// Name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nosync => "nosync",
            Self::IsbSelf => "isb-self",
            Self::StopMachine => "stop-machine",
            Self::Ipi => "ipi",
            Self::Kick => "kick",
            Self::KickBefore => "kick-before",
            Self::KickNoCse => "kick-no-cse",
            Self::MembarrierSyncCore => "membarrier-sync-core",
            Self::Signal => "signal",
        }
    }

    /// Whether every site is synchronised on its own.
    #[must_use]
    pub const fn is_per_site(self) -> bool {
        matches!(self, Self::StopMachine | Self::Ipi)
    }
}

/// What is done to the caches after each word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maintenance {
    /// DC CVAU, DSB ISH, IC IVAU, DSB ISH (Arm ARM B2.7.4.2).
    Full,
    /// Nothing.
    None,
    /// Without DC CVAU and its DSB.
    NoDc,
    /// Without IC IVAU and its DSB.
    NoIc,
    /// DMB ISH in place of each DSB.
    DmbForDsb,
    /// Without the last DSB.
    NoDsbAfterIc,
}

impl Maintenance {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Full, Self::None, Self::NoDc, Self::NoIc, Self::DmbForDsb, Self::NoDsbAfterIc];

    /// What it adds to a strategy's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "",
            Self::None => "no-maintenance",
            Self::NoDc => "no-dc",
            Self::NoIc => "no-ic",
            Self::DmbForDsb => "dmb-for-dsb",
            Self::NoDsbAfterIc => "no-dsb-after-ic",
        }
    }
}

/// A scheme with what is done to the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Strategy {
    /// How other PEs are synchronised.
    pub scheme: Scheme,
    /// What is done to the caches.
    pub maintenance: Maintenance,
}

impl Strategy {
    /// `scheme` with all of the cache maintenance.
    #[must_use]
    pub const fn full(scheme: Scheme) -> Self {
        Self { scheme, maintenance: Maintenance::Full }
    }

    /// Every strategy.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |scheme| {
            Maintenance::ALL.into_iter().map(move |maintenance| Self { scheme, maintenance })
        };
        Scheme::ALL.into_iter().flat_map(of)
    }

    /// Its name: `kick`, `kick+no-ic`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.maintenance {
            Maintenance::Full => self.scheme.name().to_owned(),
            other => format!("{}+{}", self.scheme.name(), other.name()),
        }
    }

    /// The strategy of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|strategy| strategy.name() == name)
    }
}
