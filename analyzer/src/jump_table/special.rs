//! Sites that a running kernel treats differently, or that run elsewhere.

use super::site::Site;
use crate::image::Image;

/// What is special about a site's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Special {
    /// Init text: freed once the kernel runs or the module is loaded, and never
    /// patched from then on (`kernel/jump_label.c`, Linux 6.12,
    /// jump_entry_is_init).
    Init,
    /// Exit text: of a module it can be patched while the module is loaded; of
    /// the kernel itself it is dropped at boot.
    Exit,
    /// Code of KVM's hypervisor on arm64, which runs at EL2 with its own mapping
    /// (symbols `__kvm_nvhe_*`, section `.hyp.text`; `arch/arm64/kvm/hyp/nvhe`).
    El2,
    /// An executable section that is no part of the usual text: alternatives,
    /// trampolines and the like.
    UnusualSection,
}

impl Special {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Init, Self::Exit, Self::El2, Self::UnusualSection];

    /// What is special about `site`, if anything is.
    #[must_use]
    pub fn of(image: &Image<'_>, site: &Site<'_>) -> Option<Self> {
        let section = site.section.map(|id| image.section(id).name);
        let is_el2 = |name: &str| name.starts_with("__kvm_nvhe_");
        let function = || site.function.map(|at| image.symbols().name(at.symbol));
        match section? {
            section if section.contains(".hyp.text") => Some(Self::El2),
            _ if function().is_some_and(|name| is_el2(&name)) => Some(Self::El2),
            // `.meminit.text` and `.cpuinit.text` of older kernels too.
            section if section.contains("init.text") => Some(Self::Init),
            section if section.contains("exit.text") => Some(Self::Exit),
            section if !section.contains("text") => Some(Self::UnusualSection),
            _ => None,
        }
    }

    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Exit => "exit",
            Self::El2 => "el2",
            Self::UnusualSection => "unusual-section",
        }
    }
}
