//! Strategies to patch code that other PEs execute, by their usual names.

/// How other PEs are synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// No synchronisation: arm64 up to the fix of July 2024, as another PE sees it.
    Nosync,
    /// An ISB on the patching PE: the same defect, in the form of `caches_clean_inval_pou`.
    IsbSelf,
    /// For each site all other PEs wait while one patches (`kernel/stop_machine.c`).
    StopMachine,
    /// For each site an acknowledged interrupt to all other PEs.
    Ipi,
    /// One acknowledged interrupt to all other PEs after all sites (`kick_all_cpus_sync`).
    Kick,
    /// Incorrect on purpose: the interrupt comes before the cache maintenance.
    KickBefore,
    /// Incorrect on purpose: the other PE polls for a message and takes no exception.
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

    /// Whether each site is synchronised separately.
    #[must_use]
    pub const fn is_per_site(self) -> bool {
        matches!(self, Self::StopMachine | Self::Ipi)
    }
}

/// The cache maintenance after each word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maintenance {
    /// DC CVAU, DSB ISH, IC IVAU, DSB ISH (Arm ARM B2.7.4.2).
    Full,
    /// No cache maintenance.
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

    /// The suffix of a strategy's name.
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

/// A scheme with its cache maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Strategy {
    /// How other PEs are synchronised.
    pub scheme: Scheme,
    /// The cache maintenance.
    pub maintenance: Maintenance,
}

impl Strategy {
    /// `scheme` with full cache maintenance.
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
