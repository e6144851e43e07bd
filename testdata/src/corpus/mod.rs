//! Real kernels from Debian's archive: what they are, and where the cache
//! outside the work tree keeps what was fetched.

mod command;
mod error;
mod fetch;
mod sources;

pub use error::FetchError;
pub use fetch::fetch;

use std::env;
use std::path::PathBuf;

/// A real image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Image {
    /// Debian's last 5.10 of bullseye: it has the defect, and never changes.
    Vmlinux510,
    /// The newest 6.12 that bookworm-security has: fixed, and it moves.
    Vmlinux612,
}

/// Which suite of the archive a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    /// A suite of the main archive.
    Main(&'static str),
    /// A suite of the security archive.
    Security(&'static str),
}

/// How a package is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Package {
    /// Always this one, with these SHA-256 sums.
    Pinned { name: &'static str, deb_sha256: &'static str, file_sha256: &'static str },
    /// The one with the highest number between these two.
    Newest { prefix: &'static str, suffix: &'static str },
}

impl Image {
    /// Every image.
    pub const ALL: [Self; 2] = [Self::Vmlinux510, Self::Vmlinux612];

    /// Name on the command line and in the cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vmlinux510 => "vmlinux-5.10",
            Self::Vmlinux612 => "vmlinux-6.12",
        }
    }

    /// The image of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|image| image.name() == name)
    }

    /// The package, for people; `N` stands for a number that moves.
    #[must_use]
    pub fn package(self) -> String {
        match self.recipe().1 {
            Package::Pinned { name, .. } => name.to_owned(),
            Package::Newest { prefix, suffix } => format!("{prefix}N{suffix}"),
        }
    }

    pub(crate) fn recipe(self) -> (Suite, Package) {
        match self {
            Self::Vmlinux510 => (
                Suite::Main("bullseye"),
                Package::Pinned {
                    name: "linux-image-5.10.0-32-cloud-arm64-dbg",
                    deb_sha256: "ebfa6f4de8b964c392813168db1da958df7684677c923b2022bfe3006be4d4f2",
                    file_sha256: "96fc294370bd301b5b8b077e1d184de0c6cbc19609f75ba15df772b52301bedb",
                },
            ),
            Self::Vmlinux612 => (
                Suite::Security("bookworm-security"),
                Package::Newest { prefix: "linux-image-6.12.", suffix: "+deb12-cloud-arm64-dbg" },
            ),
        }
    }
}

/// Name of the image in its directory of the cache.
const FILE: &str = "vmlinux";
/// Name of the file that says which package and version the image is from.
const RECORD: &str = "source";

/// The cache: `$JLCTL_CACHE`, `$XDG_CACHE_HOME/jlctl` or `~/.cache/jlctl`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("JLCTL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|home| home.join("jlctl")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache").join("jlctl")))
}

/// Where the cache has, or would have, the directory of `image`.
fn image_dir(image: Image) -> Option<PathBuf> {
    Some(cache_dir()?.join("images").join(image.name()))
}

/// The fetched image; `None` if it was not fetched.
#[must_use]
pub fn path(image: Image) -> Option<PathBuf> {
    let directory = image_dir(image)?;
    let file = directory.join(FILE);
    (file.is_file() && directory.join(RECORD).is_file()).then_some(file)
}

/// Package and version that the fetched image is from, such as
/// `linux-image-… 6.12.117-1~deb12u1`.
#[must_use]
pub fn version(image: Image) -> Option<String> {
    let record = std::fs::read_to_string(image_dir(image)?.join(RECORD)).ok()?;
    record.lines().next().map(str::to_owned)
}
