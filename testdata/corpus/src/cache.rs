//! Paths and records of the cache outside the work tree.

use crate::{Binary, FetchError, Image};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the file that records the package and version of an artefact.
const RECORD: &str = "source";

/// One release of a kernel, as Debian built it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Release {
    /// The release as `uname -r` prints it: `6.12.117+deb12-cloud-arm64`.
    pub name: String,
    /// The version of the packages: `6.12.117-1~deb12u1`.
    pub version: String,
}

/// The cache: `$JLCTL_CACHE`, `$XDG_CACHE_HOME/jlctl` or `~/.cache/jlctl`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("JLCTL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|home| home.join("jlctl")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache").join("jlctl")))
}

/// The directory of `image` in the cache, whether it exists or not.
pub(super) fn image_dir(image: Image) -> Option<PathBuf> {
    Some(cache_dir()?.join("images").join(image.name()))
}

/// The directory of `binary` in the cache, whether it exists or not.
pub(super) fn binary_dir(binary: Binary) -> Option<PathBuf> {
    Some(cache_dir()?.join("images").join(binary.name()))
}

/// The fetched program or library; `None` if it was not fetched.
#[must_use]
pub fn binary_path(binary: Binary) -> Option<PathBuf> {
    let directory = binary_dir(binary)?;
    let path = directory.join(binary.file_name());
    (path.is_file() && directory.join(RECORD).is_file()).then_some(path)
}

/// Package and version of the fetched program or library.
#[must_use]
pub fn binary_version(binary: Binary) -> Option<String> {
    first_line(&binary_dir(binary)?)
}

/// The fetched file or directory; `None` if it was not fetched.
///
/// The name is `vmlinux`, `vmlinuz`, `modules` or `debug` ([`crate::Part`]): a module is
/// `path(…)/kernel/fs/nfs/nfs.ko` and its debug file
/// `path(…)/lib/modules/RELEASE/kernel/fs/nfs/nfs.ko`.
#[must_use]
pub fn path(image: Image) -> Option<PathBuf> {
    let directory = image_dir(image)?;
    let path = directory.join(image.part().file_name());
    let kept = if image.part().is_directory() { path.is_dir() } else { path.is_file() };
    (kept && directory.join(RECORD).is_file()).then_some(path)
}

/// Package and version of the fetched artefact, such as `linux-image-… 6.12.117-1~deb12u1`.
#[must_use]
pub fn version(image: Image) -> Option<String> {
    first_line(&image_dir(image)?)
}

/// The release of the fetched artefact; `None` if it was not fetched.
#[must_use]
pub fn release(image: Image) -> Option<Release> {
    path(image)?;
    parse(&version(image)?)
}

/// The first line of the record in `directory`.
fn first_line(directory: &Path) -> Option<String> {
    let record = fs::read_to_string(directory.join(RECORD)).ok()?;
    record.lines().next().map(str::to_owned)
}

fn parse(record: &str) -> Option<Release> {
    let (package, version) = record.split_once(' ')?;
    let name = package.strip_prefix("linux-image-")?;
    let name = name.strip_suffix("-dbg").unwrap_or(name);
    Some(Release { name: name.to_owned(), version: version.to_owned() })
}

/// Writes the record of the artefact in `directory`: package, version, SHA-256.
pub(super) fn write_record(
    directory: &Path,
    package: &str,
    version: &str,
    sum: &str,
) -> Result<(), FetchError> {
    let record = directory.join(RECORD);
    let text = format!("{package} {version}\nsha256 {sum}\n");
    fs::write(&record, text).map_err(FetchError::io("write", &record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_the_release() {
        let release = Release {
            name: "6.12.117+deb12-cloud-arm64".to_owned(),
            version: "6.12.117-1~deb12u1".to_owned(),
        };
        for package in crate::image::Package::ALL {
            let record = format!("{} {}", package.name(&release.name), release.version);
            assert_eq!(parse(&record), Some(release.clone()));
        }
        assert_eq!(parse("linux-image-6.12"), None);
        assert_eq!(parse("qemu-user 7.2"), None);
    }
}
