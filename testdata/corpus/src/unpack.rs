//! Unpacks only the artefacts from a package: a whole debug package has gigabytes.

use crate::command::{Producer, pipe};
use crate::image::{DEBUG_MODULES, Image, Package, Part, debug_kernel};
use crate::{FetchError, Release, cache, sum};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The files of an artefact in their package.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    /// The members to unpack.
    members: Vec<String>,
    /// The path that becomes the artefact: the only member, or a directory that contains all.
    root: String,
    /// Path of `root` in the artefact's directory.
    to: String,
}

impl Contents {
    fn of(image: Image, release: &str) -> Self {
        let to = image.part().file_name();
        let one = |member: String| Self {
            members: vec![member.clone()],
            root: member,
            to: to.to_owned(),
        };
        match image.part() {
            Part::Vmlinux => one(debug_kernel(release)),
            Part::Vmlinuz => one(image.kernel().boot_image(release)),
            Part::Modules => one(image.kernel().modules(release)),
            Part::Debug => {
                let root = "usr/lib/debug/lib";
                let member = |module| format!("{root}/modules/{release}/kernel/{module}.ko");
                Self {
                    members: DEBUG_MODULES.map(member).into(),
                    root: root.to_owned(),
                    to: format!("{to}/lib"),
                }
            }
        }
    }
}

/// Unpacks `images`, all from the package `deb`, into `staged`: a directory for each, with its
/// record. Verifies pinned artefacts, and deletes `deb`.
pub(super) fn unpack(
    deb: &Path,
    images: &[Image],
    release: &Release,
    staged: &Path,
) -> Result<(), FetchError> {
    let Some(package) = images.first().map(|image| image.part().package()) else { return Ok(()) };
    let contents: Vec<(Image, Contents)> =
        images.iter().map(|&image| (image, Contents::of(image, &release.name))).collect();
    let tree = staged.join(".unpacked");
    fs::create_dir_all(&tree).map_err(FetchError::io("create", &tree))?;
    let members = contents.iter().flat_map(|(_, contents)| &contents.members);
    let mut archive = Command::new("dpkg-deb");
    archive.arg("--fsys-tarfile").arg(deb).env("LC_ALL", "C");
    extract(&mut archive, package, members.map(String::as_str), &tree)?;
    fs::remove_file(deb).map_err(FetchError::io("remove", deb))?;
    for (image, contents) in &contents {
        let directory = staged.join(image.name());
        rename(&tree.join(&contents.root), &directory.join(&contents.to))?;
        let artefact = directory.join(image.part().file_name());
        let sum = sum::verify(&artefact, image.pinned_sum())?;
        cache::write_record(&directory, &package.name(&release.name), &release.version, &sum)?;
    }
    fs::remove_dir_all(&tree).map_err(FetchError::io("remove", &tree))
}

/// Unpacks `members` of the archive that `archive` writes, below `tree`. tar
/// fails if one is missing.
fn extract<'a>(
    archive: &mut Command,
    package: Package,
    members: impl Iterator<Item = &'a str>,
    tree: &Path,
) -> Result<(), FetchError> {
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--directory"]).arg(tree).env("LC_ALL", "C");
    let producer = match package {
        // Directories: their members can be anywhere in the archive.
        Package::Image => Producer::RunsToItsEnd,
        // Single files: tar stops after the last of them, often near the beginning.
        Package::Debug => {
            tar.arg("--occurrence=1");
            Producer::MayBeCutShort
        }
    };
    tar.arg("--").args(members.map(|member| format!("./{member}")));
    pipe(archive, producer, &mut tar)
}

fn rename(from: &Path, to: &Path) -> Result<(), FetchError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(FetchError::io("create", parent))?;
    }
    fs::rename(from, to).map_err(FetchError::io("rename to", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artefacts_of_a_package_do_not_overlap() {
        let root = |image| Contents::of(image, "R").root;
        assert_eq!(root(Image::VmlinuxRiscv64), "usr/lib/debug/boot/vmlinux-R");
        assert_eq!(root(Image::VmlinuzRiscv64), "boot/vmlinux-R");
        assert_eq!(root(Image::ModulesRiscv64), "usr/lib/modules/R");
        assert_eq!(root(Image::Modules612), "lib/modules/R");
        for image in Image::ALL {
            let contents = Contents::of(image, "R");
            for other in image.kernel().images().filter(|&other| other != image) {
                assert!(
                    !Path::new(&root(other)).starts_with(&contents.root),
                    "{image:?} {other:?}"
                );
            }
            for member in &contents.members {
                assert!(Path::new(member).starts_with(&contents.root), "{member}");
            }
        }
    }

    #[test]
    #[cfg_attr(not(feature = "tools"), ignore = "needs tar: testdata/check runs it")]
    fn a_missing_member_is_an_error_and_an_early_end_is_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        let (package, tree) = (root.join("package"), root.join("tree"));
        for directory in [&package, &tree] {
            fs::create_dir(directory).expect("a directory");
        }
        fs::write(package.join("a"), "a").expect("a file");
        fs::write(package.join("b"), vec![0; 1 << 24]).expect("a file");
        let archive = || {
            let mut archive = Command::new("tar");
            archive.arg("--create").arg("--directory").arg(&package).args(["./a", "./b"]);
            archive
        };
        for kind in Package::ALL {
            extract(&mut archive(), kind, ["a"].into_iter(), &tree).expect("unpacked");
            assert_eq!(fs::read(tree.join("a")).expect("the file"), b"a");
            assert!(!tree.join("b").exists());
            let error = extract(&mut archive(), kind, ["c"].into_iter(), &tree).unwrap_err();
            assert!(error.to_string().contains("./c"), "{error}");
        }
    }
}
