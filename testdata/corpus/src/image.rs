//! The artefacts of kernels to fetch, and their Debian packages.

/// An artefact of a real kernel: a file, or a directory of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Image {
    /// Image with DWARF of [`Kernel::V510`].
    Vmlinux510,
    /// Boot image of [`Kernel::V510`], a raw arm64 `Image`.
    Vmlinuz510,
    /// Modules of [`Kernel::V510`], as `.ko`.
    Modules510,
    /// Image with DWARF of [`Kernel::V612`].
    Vmlinux612,
    /// Boot image of [`Kernel::V612`], a raw arm64 `Image`.
    Vmlinuz612,
    /// Modules of [`Kernel::V612`], as `.ko.xz`.
    Modules612,
    /// Debug files of [`DEBUG_MODULES`] of [`Kernel::V612`].
    Debug612,
    /// Image with DWARF of [`Kernel::Amd64`].
    VmlinuxAmd64,
    /// Boot image of [`Kernel::Amd64`], a `bzImage`.
    VmlinuzAmd64,
    /// Modules of [`Kernel::Amd64`], as `.ko.xz`.
    ModulesAmd64,
    /// Image with DWARF of [`Kernel::Riscv64`].
    VmlinuxRiscv64,
    /// Boot image of [`Kernel::Riscv64`], a raw riscv64 `Image`.
    VmlinuzRiscv64,
    /// Modules of [`Kernel::Riscv64`], as `.ko.xz`.
    ModulesRiscv64,
}

/// A series of kernels, of which the cache has one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernel {
    /// Debian's last arm64 5.10 of bullseye: it has the defect, and is pinned.
    V510,
    /// The newest arm64 6.12 of bookworm-security: the defect is fixed, and the release
    /// changes.
    V612,
    /// The newest amd64 6.12 of trixie, the small flavour for virtual machines; sid's newest if
    /// trixie cannot be read.
    Amd64,
    /// The newest riscv64 6.12 of trixie, which has one flavour; sid's newest where
    /// trixie cannot be had.
    Riscv64,
}

/// The part of a kernel that an artefact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The file `vmlinux` with symbols and DWARF.
    Vmlinux,
    /// The file `vmlinuz` that a boot loader loads.
    Vmlinuz,
    /// The directory `modules`: the content of `/lib/modules/RELEASE`.
    Modules,
    /// The directory `debug`: the part of `/usr/lib/debug` for [`DEBUG_MODULES`].
    Debug,
}

/// The modules whose debug files [`Part::Debug`] has, below the directory
/// `kernel` of the modules and without extension. All of them have jump tables.
pub const DEBUG_MODULES: [&str; 3] = ["fs/nfs/nfs", "fs/xfs/xfs", "net/netfilter/nf_tables"];

/// The part of a release's name that marks Debian 14.
const DEBIAN_14: &str = "+deb14";

/// Path of the kernel with debug information in its package.
pub(super) fn debug_kernel(release: &str) -> String {
    if release.contains(DEBIAN_14) {
        return format!("usr/lib/debug/lib/modules/{release}/vmlinux");
    }
    format!("usr/lib/debug/boot/vmlinux-{release}")
}

/// The suite of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suite {
    /// A suite of the main archive.
    Main(&'static str),
    /// A suite of the security archive.
    Security(&'static str),
}

impl Suite {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Main(suite) | Self::Security(suite) => suite,
        }
    }
}

/// The wanted release of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This release.
    Pinned(&'static str),
    /// The release with the highest dotted number between this prefix and suffix.
    Newest { prefix: &'static str, suffix: &'static str },
}

/// The two packages of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    /// The boot image and the modules.
    Image,
    /// Their debug files.
    Debug,
}

impl Package {
    pub(super) const ALL: [Self; 2] = [Self::Image, Self::Debug];

    /// The package's name for a release.
    pub(super) fn name(self, release: &str) -> String {
        match self {
            Self::Image => format!("linux-image-{release}"),
            Self::Debug => format!("linux-image-{release}-dbg"),
        }
    }
}

impl Image {
    /// Every artefact, grouped by kernel.
    pub const ALL: [Self; 13] = [
        Self::Vmlinux510,
        Self::Vmlinuz510,
        Self::Modules510,
        Self::Vmlinux612,
        Self::Vmlinuz612,
        Self::Modules612,
        Self::Debug612,
        Self::VmlinuxAmd64,
        Self::VmlinuzAmd64,
        Self::ModulesAmd64,
        Self::VmlinuxRiscv64,
        Self::VmlinuzRiscv64,
        Self::ModulesRiscv64,
    ];

    /// Name on the command line and in the cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vmlinux510 => "vmlinux-5.10",
            Self::Vmlinuz510 => "vmlinuz-5.10",
            Self::Modules510 => "modules-5.10",
            Self::Vmlinux612 => "vmlinux-6.12",
            Self::Vmlinuz612 => "vmlinuz-6.12",
            Self::Modules612 => "modules-6.12",
            Self::Debug612 => "debug-6.12",
            Self::VmlinuxAmd64 => "vmlinux-amd64",
            Self::VmlinuzAmd64 => "vmlinuz-amd64",
            Self::ModulesAmd64 => "modules-amd64",
            Self::VmlinuxRiscv64 => "vmlinux-riscv64",
            Self::VmlinuzRiscv64 => "vmlinuz-riscv64",
            Self::ModulesRiscv64 => "modules-riscv64",
        }
    }

    /// The artefact of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|image| image.name() == name)
    }

    /// The kernel of the artefact.
    #[must_use]
    pub fn kernel(self) -> Kernel {
        match self {
            Self::Vmlinux510 | Self::Vmlinuz510 | Self::Modules510 => Kernel::V510,
            Self::Vmlinux612 | Self::Vmlinuz612 | Self::Modules612 | Self::Debug612 => Kernel::V612,
            Self::VmlinuxAmd64 | Self::VmlinuzAmd64 | Self::ModulesAmd64 => Kernel::Amd64,
            Self::VmlinuxRiscv64 | Self::VmlinuzRiscv64 | Self::ModulesRiscv64 => Kernel::Riscv64,
        }
    }

    /// The part of the kernel.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::Vmlinux510 | Self::Vmlinux612 | Self::VmlinuxAmd64 | Self::VmlinuxRiscv64 => {
                Part::Vmlinux
            }
            Self::Vmlinuz510 | Self::Vmlinuz612 | Self::VmlinuzAmd64 | Self::VmlinuzRiscv64 => {
                Part::Vmlinuz
            }
            Self::Modules510 | Self::Modules612 | Self::ModulesAmd64 | Self::ModulesRiscv64 => {
                Part::Modules
            }
            Self::Debug612 => Part::Debug,
        }
    }

    /// The package of a release that contains the artefact. Since Debian 14 the package of the
    /// image is empty and depends on two others.
    pub(super) fn package_of(self, release: &str) -> String {
        match self.part() {
            Part::Vmlinuz if release.contains(DEBIAN_14) => format!("linux-binary-{release}"),
            Part::Modules if release.contains(DEBIAN_14) => format!("linux-modules-{release}"),
            part => part.package().name(release),
        }
    }

    /// The package in the suite that is tried first, for people; `N` stands for a
    /// number that moves.
    #[must_use]
    pub fn package(self) -> String {
        let first = self.kernel().sources().first().map(|(_, wanted)| *wanted);
        let release = match first {
            Some(Wanted::Pinned(release)) => release.to_owned(),
            Some(Wanted::Newest { prefix, suffix }) => format!("{prefix}N{suffix}"),
            None => "N".to_owned(),
        };
        self.part().package().name(&release)
    }

    /// The SHA-256 that the artefact must have, if its kernel is pinned; that of
    /// a directory is described at [`crate::fetch`].
    pub(super) fn pinned_sum(self) -> Option<&'static str> {
        match self {
            Self::Vmlinux510 => {
                Some("96fc294370bd301b5b8b077e1d184de0c6cbc19609f75ba15df772b52301bedb")
            }
            Self::Vmlinuz510 => {
                Some("a7be0c2c74e4529c8c567ea8969fb6a327aa8bc7214ed6b609458d75a6a11e79")
            }
            Self::Modules510 => {
                Some("1b08ddd6554ad8401f11657129743f0a4a3ee0a7484050949f26bd22b6d5a748")
            }
            _ => None,
        }
    }
}

impl Part {
    /// Name in the artefact's directory of the cache.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::Vmlinux => "vmlinux",
            Self::Vmlinuz => "vmlinuz",
            Self::Modules => "modules",
            Self::Debug => "debug",
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        matches!(self, Self::Modules | Self::Debug)
    }

    pub(super) fn package(self) -> Package {
        match self {
            Self::Vmlinuz | Self::Modules => Package::Image,
            Self::Vmlinux | Self::Debug => Package::Debug,
        }
    }
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Self; 4] = [Self::V510, Self::V612, Self::Amd64, Self::Riscv64];

    /// The artefacts of the kernel.
    pub fn images(self) -> impl Iterator<Item = Image> {
        Image::ALL.into_iter().filter(move |image| image.kernel() == self)
    }

    /// Debian's name of the architecture.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::V510 | Self::V612 => "arm64",
            Self::Amd64 => "amd64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The sources of releases, in the order in which they are tried: an archive under update
    /// can have an index that differs from its own sums for days.
    pub(super) fn sources(self) -> Vec<(Suite, Wanted)> {
        let newest = |prefix, suffix| Wanted::Newest { prefix, suffix };
        let (main, security) = (Suite::Main, Suite::Security);
        match self {
            Self::V510 => vec![(main("bullseye"), Wanted::Pinned("5.10.0-32-cloud-arm64"))],
            Self::V612 => {
                vec![(security("bookworm-security"), newest("6.12.", "+deb12-cloud-arm64"))]
            }
            Self::Amd64 => vec![
                (main("trixie"), newest("6.12.", "+deb13-cloud-amd64")),
                (security("trixie-security"), newest("6.12.", "+deb13-cloud-amd64")),
                (main("sid"), newest("", "+deb14-cloud-amd64")),
            ],
            Self::Riscv64 => vec![
                (main("trixie"), newest("6.12.", "+deb13-riscv64")),
                (security("trixie-security"), newest("6.12.", "+deb13-riscv64")),
                (main("sid"), newest("", "+deb14-riscv64")),
            ],
        }
    }

    /// The SHA-256 that a package must have, if the kernel is pinned.
    pub(super) fn pinned_sum(self, package: Package) -> Option<&'static str> {
        match (self, package) {
            (Self::V510, Package::Image) => {
                Some("1b79a526115ffed1262a3bcb127e9596a6849ad4acc31aacbef93db0c9cf7352")
            }
            (Self::V510, Package::Debug) => {
                Some("ebfa6f4de8b964c392813168db1da958df7684677c923b2022bfe3006be4d4f2")
            }
            _ => None,
        }
    }

    /// Path of the boot image in its package. On riscv64 the name contains `vmlinux`, although
    /// the file is a raw `Image` as on arm64; since Debian 14 it is with the modules, and is an
    /// EFI zboot image.
    pub(super) fn boot_image(self, release: &str) -> String {
        if release.contains(DEBIAN_14) {
            return format!("usr/lib/modules/{release}/vmlinuz");
        }
        let name = if self == Self::Riscv64 { "vmlinux" } else { "vmlinuz" };
        format!("boot/{name}-{release}")
    }

    /// Path of the modules in their package; since trixie packages contain no `/lib`, which is
    /// a link to `/usr/lib`.
    pub(super) fn modules(self, release: &str) -> String {
        let below = if matches!(self, Self::V510 | Self::V612) { "" } else { "usr/" };
        format!("{below}lib/modules/{release}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_artefacts() {
        for image in Image::ALL {
            assert_eq!(Image::from_name(image.name()), Some(image));
            assert!(image.name().starts_with(image.part().file_name()), "{image:?}");
            assert!(image.kernel().images().any(|other| other == image));
        }
        assert_eq!(Image::from_name("vmlinux"), None);
    }

    #[test]
    fn a_package_is_named_by_its_release() {
        assert_eq!(Image::Vmlinux510.package(), "linux-image-5.10.0-32-cloud-arm64-dbg");
        assert_eq!(Image::Modules612.package(), "linux-image-6.12.N+deb12-cloud-arm64");
        assert_eq!(Image::VmlinuxRiscv64.package(), "linux-image-6.12.N+deb13-riscv64-dbg");
    }

    #[test]
    fn all_of_a_pinned_kernel_is_pinned_and_nothing_else() {
        for image in Image::ALL {
            let kernel = image.kernel();
            let pinned =
                kernel.sources().iter().all(|(_, wanted)| matches!(wanted, Wanted::Pinned(_)));
            assert_eq!(image.pinned_sum().is_some(), pinned, "{image:?}");
            assert_eq!(kernel.pinned_sum(image.part().package()).is_some(), pinned, "{image:?}");
        }
    }
}
