//! Sites that a running kernel treats differently, or that run in another context.

/// The special property of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Special {
    /// Init text: freed when the kernel runs or the module is loaded, and never patched after
    /// that (`kernel/jump_label.c`, Linux 6.12, jump_entry_is_init).
    Init,
    /// Exit text: patched while a module is loaded; for the kernel itself it is dropped at
    /// boot.
    Exit,
    /// Code of KVM's hypervisor on arm64, which runs at EL2 with its own mapping
    /// (symbols `__kvm_nvhe_*`, section `.hyp.text`; `arch/arm64/kvm/hyp/nvhe`).
    El2,
    /// An executable section other than the usual text: alternatives, trampolines and the like.
    UnusualSection,
}

impl Special {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Init, Self::Exit, Self::El2, Self::UnusualSection];

    /// The special property of a site in `section` and `function`; `None` for an ordinary site.
    #[must_use]
    pub fn of(section: &str, function: Option<&str>) -> Option<Self> {
        if function.is_some_and(|name| name.starts_with("__kvm_nvhe_")) {
            return Some(Self::El2);
        }
        match section {
            ".text" => None,
            section if section.contains(".hyp.text") => Some(Self::El2),
            // Also `.meminit.text` and `.cpuinit.text` of older kernels.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_sites() {
        for (section, function, special) in [
            (".text", "schedule", None),
            (".text.unlikely", "schedule.cold", None),
            (".text", "__kvm_nvhe___kvm_vcpu_run", Some(Special::El2)),
            (".hyp.text", "__kvm_vcpu_run", Some(Special::El2)),
            (".init.text", "start_kernel", Some(Special::Init)),
            (".meminit.text", "f", Some(Special::Init)),
            (".exit.text", "f", Some(Special::Exit)),
            (".altinstr_replacement", "f", Some(Special::UnusualSection)),
        ] {
            assert_eq!(Special::of(section, Some(function)), special, "{section} {function}");
        }
    }
}
