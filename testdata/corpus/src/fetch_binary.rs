//! Fetches the missing programs and libraries, one package each.

use crate::FetchError;
use crate::apt::Apt;
use crate::binary::Binary;
use crate::cache::{binary_dir, binary_path, cache_dir, write_record};
use crate::command::{Producer, pipe};
use crate::image::Suite;
use crate::sum;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's name of their architecture.
const ARCHITECTURE: &str = "arm64";
/// Their suite.
const SUITE: Suite = Suite::Main("bookworm");

/// Fetches those of `binaries` that the cache does not have, each in the newest version of
/// Debian 12. A cached one stays: to move to the newest version, remove its directory and
/// fetch. A failed fetch does not prevent the others. `progress` is called with each step.
///
/// # Errors
/// As [`crate::fetch()`].
pub fn fetch_binaries(
    binaries: &[Binary],
    progress: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let (cached, missing): (Vec<Binary>, Vec<Binary>) =
        binaries.iter().partition(|binary| binary_path(**binary).is_some());
    cached.iter().for_each(|binary| progress(&format!("{}: already complete", binary.name())));
    if missing.is_empty() {
        return Ok(());
    }
    let cache = cache_dir().ok_or(FetchError::NoCache)?;
    fs::create_dir_all(cache.join("images")).map_err(FetchError::io("create", &cache))?;
    let work = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&cache)
        .map_err(FetchError::io("create a directory in", &cache))?;
    let apt = Apt::new(work.path(), ARCHITECTURE, SUITE, progress)?;
    let mut failed = Vec::new();
    for binary in missing {
        if let Err(error) = fetch_one(&apt, binary, work.path(), progress) {
            progress(&format!("{}: FAILED: {error}", binary.name()));
            failed.push(error);
        }
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(FetchError::Several(failed)),
    }
}

fn fetch_one(
    apt: &Apt,
    binary: Binary,
    work: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let target = binary_dir(binary).ok_or(FetchError::NoCache)?;
    if target.exists() {
        return Err(FetchError::Incomplete { path: target });
    }
    let package = binary.package();
    let version = apt.newest(package)?.ok_or_else(|| FetchError::NoPackage {
        package: package.to_owned(),
        suite: SUITE.name().to_owned(),
    })?;
    progress(&format!("{}: downloading {package} {version}", binary.name()));
    let deb = apt.download(package, &version)?;
    let staged = work.join(binary.name());
    let tree = work.join(".unpacked");
    fs::create_dir_all(&staged).map_err(FetchError::io("create", &staged))?;
    let mut archive = Command::new("dpkg-deb");
    archive.arg("--fsys-tarfile").arg(&deb).env("LC_ALL", "C");
    let file = unpack(&mut archive, binary.member(), &tree)?;
    let artefact = staged.join(binary.file_name());
    fs::rename(&file, &artefact).map_err(FetchError::io("rename to", &artefact))?;
    fs::remove_dir_all(&tree).map_err(FetchError::io("remove", &tree))?;
    fs::remove_file(&deb).map_err(FetchError::io("remove", &deb))?;
    write_record(&staged, package, &version, &sum::sha256(&artefact)?)?;
    match fs::rename(&staged, &target) {
        // A concurrent fetch was faster; its artefact is the same.
        Err(_) if binary_path(binary).is_some() => Ok(()),
        result => result.map_err(FetchError::io("rename to", &target)),
    }
}

/// Unpacks the members of `archive` that match `pattern` below `tree`, and returns the only one
/// that is a file and not a link.
fn unpack(archive: &mut Command, pattern: &str, tree: &Path) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(tree).map_err(FetchError::io("create", tree))?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--wildcards", "--directory"]);
    tar.arg(tree).args(["--", pattern]).env("LC_ALL", "C");
    pipe(archive, Producer::RunsToItsEnd, &mut tar)?;
    let files = sum::files(tree)?;
    let [file] = &files[..] else {
        return Err(FetchError::Members { pattern: pattern.to_owned(), found: files.len() });
    };
    Ok(tree.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    #[cfg_attr(not(feature = "tools"), ignore = "needs tar: testdata/check runs it")]
    fn the_file_is_taken_and_links_to_it_are_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let package = directory.path().join("package");
        fs::create_dir_all(package.join("lib")).expect("a directory");
        for name in ["liba.so.1.2", "libb.so.1", "libb.so.2"] {
            fs::write(package.join("lib").join(name), name).expect("a file");
        }
        symlink("liba.so.1.2", package.join("lib/liba.so.1")).expect("a link");
        let unpack = |pattern: &str, tree: &str| {
            let mut archive = Command::new("tar");
            archive.args(["--create", "--directory"]).arg(&package).arg("./lib");
            super::unpack(&mut archive, pattern, &directory.path().join(tree))
        };
        let file = unpack("./lib/liba.so.*", "a").expect("one file");
        assert_eq!(fs::read(file).expect("its bytes"), b"liba.so.1.2");
        let error = unpack("./lib/libb.so.*", "b").unwrap_err();
        assert!(matches!(error, FetchError::Members { found: 2, .. }), "{error}");
        let error = unpack("./lib/libc.so.*", "c").unwrap_err();
        assert!(matches!(error, FetchError::Command { .. }), "{error}");
    }
}
