//! Fetches the missing artefacts of a kernel: one download for each package, verified and
//! renamed into place.

use crate::apt::Apt;
use crate::cache::{cache_dir, image_dir, path, release};
use crate::image::{Image, Kernel};
use crate::{FetchError, Release, unpack};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Fetches those of `images` that the cache does not have.
///
/// All artefacts of a kernel in the cache belong to one release. Missing artefacts are fetched
/// from the release that is already in the cache. If the archive has dropped that release, all
/// artefacts of the kernel are fetched from the newest one: first all are downloaded and
/// verified, then the old ones are removed, then the new ones are renamed into place. A failure
/// before the removal leaves the old artefacts unchanged; an interruption after it leaves some
/// missing, but never two releases side by side. To move to the newest release, remove the
/// kernel's directories from the cache and fetch.
///
/// Each artefact's directory also holds the file `source` with package, version and SHA-256;
/// the SHA-256 of a directory is that of the output of `sha256sum` for its files, sorted by
/// path.
///
/// A kernel may come from several suites, which are tried in order; a failed fetch does not
/// prevent the others.
///
/// `progress` is called with each step.
///
/// # Errors
/// [`FetchError`] if the machine does not run Debian, a command fails or a sum is wrong; it
/// contains every failure.
pub fn fetch(images: &[Image], progress: &mut dyn FnMut(&str)) -> Result<(), FetchError> {
    let mut failed = Vec::new();
    for kernel in Kernel::ALL {
        let wanted: Vec<Image> = kernel.images().filter(|image| images.contains(image)).collect();
        if let false = wanted.is_empty()
            && let Err(error) = fetch_kernel(kernel, &wanted, progress)
        {
            let names: Vec<&str> = wanted.iter().map(|image| image.name()).collect();
            progress(&format!("{}: FAILED: {error}", names.join(", ")));
            failed.push(error);
        }
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(FetchError::Several(failed)),
    }
}

/// The artefacts of a kernel to fetch.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    release: Release,
    images: Vec<Image>,
}

fn fetch_kernel(
    kernel: Kernel,
    wanted: &[Image],
    progress: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let cached: Vec<(Image, Release)> =
        kernel.images().filter_map(|image| Some((image, release(image)?))).collect();
    if is_complete(wanted, &cached) {
        wanted.iter().for_each(|image| progress(&format!("{}: already complete", image.name())));
        return Ok(());
    }
    refuse_incomplete(kernel)?;
    let cache = cache_dir().ok_or(FetchError::NoCache)?;
    fs::create_dir_all(cache.join("images")).map_err(FetchError::io("create", &cache))?;
    let mut failed = Vec::new();
    for (suite, release) in kernel.sources() {
        let work = tempfile::Builder::new()
            .prefix(".fetch-")
            .tempdir_in(&cache)
            .map_err(FetchError::io("create a directory in", &cache))?;
        let found = Apt::new(work.path(), kernel.architecture(), suite, progress).and_then(|apt| {
            let available = apt.releases(release)?;
            let plan = plan(wanted, &cached, &available).ok_or_else(|| FetchError::NoPackage {
                package: wanted.first().map(|image| image.package()).unwrap_or_default(),
                suite: suite.name().to_owned(),
            })?;
            Ok((apt, plan))
        });
        match found {
            Ok((apt, plan)) => return fetch_planned(&apt, &plan, work.path(), progress),
            Err(error) => {
                progress(&format!("{}: cannot be fetched: {error}", suite.name()));
                failed.push(error);
            }
        }
    }
    Err(match failed.len() {
        1 => failed.remove(0),
        _ => FetchError::Several(failed),
    })
}

/// Downloads and verifies the planned artefacts, and renames them into place.
fn fetch_planned(
    apt: &Apt,
    plan: &Plan,
    work: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let staged = work.join("staged");
    let mut packages: BTreeMap<String, Vec<Image>> = BTreeMap::new();
    for image in &plan.images {
        packages.entry(image.package_of(&plan.release.name)).or_default().push(*image);
    }
    for (name, images) in &packages {
        stage(apt, name, images, &plan.release, &staged, progress)?;
    }
    replace(plan, &staged, &work.join("outdated"))
}

/// Whether all of `wanted` are cached, and all cached artefacts belong to one release.
fn is_complete(wanted: &[Image], cached: &[(Image, Release)]) -> bool {
    wanted.iter().all(|wanted| cached.iter().any(|(image, _)| image == wanted))
        && of_one_release(cached).is_some()
}

/// The release of the cached artefacts; `None` if there are several or none.
fn of_one_release(cached: &[(Image, Release)]) -> Option<&Release> {
    let (_, first) = cached.first()?;
    cached.iter().all(|(_, release)| release == first).then_some(first)
}

/// The missing artefacts of the cached release if it is `available`, else all artefacts of the
/// newest, which is last; `None` if no release is available.
fn plan(wanted: &[Image], cached: &[(Image, Release)], available: &[Release]) -> Option<Plan> {
    let is_cached = |image: &Image| cached.iter().any(|(other, _)| other == image);
    let kept = of_one_release(cached).filter(|release| available.contains(release));
    let missing = wanted.iter().copied().filter(|image| !is_cached(image));
    Some(match kept {
        Some(release) => Plan { release: release.clone(), images: missing.collect() },
        None => Plan {
            release: available.last()?.clone(),
            images: cached.iter().map(|&(image, _)| image).chain(missing).collect(),
        },
    })
}

/// No fetch leaves an artefact's directory without its artefact.
fn refuse_incomplete(kernel: Kernel) -> Result<(), FetchError> {
    for image in kernel.images() {
        let directory = image_dir(image).ok_or(FetchError::NoCache)?;
        if directory.exists() && release(image).is_none() {
            return Err(FetchError::Incomplete { path: directory });
        }
    }
    Ok(())
}

/// Downloads a package and unpacks its `images` into directories of `staged`.
fn stage(
    apt: &Apt,
    name: &str,
    images: &[Image],
    release: &Release,
    staged: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let artefacts = images.iter().map(|image| image.name()).collect::<Vec<_>>().join(", ");
    progress(&format!("{artefacts}: downloading {name} {}", release.version));
    let start = Instant::now();
    let deb = apt.download(name, &release.version)?;
    crate::sum::verify(&deb, images[0].kernel().pinned_sum(images[0].part().package()))?;
    let size = fs::metadata(&deb).map_err(FetchError::io("read", &deb))?.len();
    let seconds = start.elapsed().as_secs_f64();
    progress(&format!("{name}: {} MB in {seconds:.1} s", size / 1_000_000));
    let start = Instant::now();
    unpack::unpack(&deb, images, release, staged)?;
    progress(&format!("{artefacts}: unpacked in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// Replaces `plan.images` in the cache with those in `staged`.
fn replace(plan: &Plan, staged: &Path, outdated: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(outdated).map_err(FetchError::io("create", outdated))?;
    let target = |image| image_dir(image).ok_or(FetchError::NoCache);
    for &image in &plan.images {
        if release(image).is_some_and(|release| release != plan.release) {
            let (from, to) = (target(image)?, outdated.join(image.name()));
            fs::rename(&from, &to).map_err(FetchError::io("move away", &from))?;
        }
    }
    for &image in &plan.images {
        let target = target(image)?;
        match fs::rename(staged.join(image.name()), &target) {
            Ok(()) => {}
            // A concurrent fetch was faster; its artefact is the same.
            Err(_) if release(image).as_ref() == Some(&plan.release) => {}
            Err(error) => return Err(FetchError::io("rename to", &target)(error)),
        }
        path(image).ok_or(FetchError::Incomplete { path: target })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Image; 3] = [Image::Vmlinux612, Image::Vmlinuz612, Image::Modules612];

    fn release(name: &str) -> Release {
        Release { name: name.to_owned(), version: format!("{name}-1") }
    }

    fn planned(cached: &[(Image, &str)], available: &[&str]) -> Option<(String, Vec<Image>)> {
        let cached: Vec<_> = cached.iter().map(|&(image, name)| (image, release(name))).collect();
        let available: Vec<_> = available.iter().map(|name| release(name)).collect();
        plan(&ALL, &cached, &available).map(|plan| (plan.release.name, plan.images))
    }

    #[test]
    fn an_empty_cache_gets_the_newest_release() {
        assert_eq!(planned(&[], &["1", "2"]), Some(("2".to_owned(), ALL.into())));
        assert_eq!(planned(&[], &[]), None);
    }

    #[test]
    fn the_release_in_the_cache_is_completed_while_the_archive_has_it() {
        let cached = [(Image::Vmlinux612, "1")];
        let missing = vec![Image::Vmlinuz612, Image::Modules612];
        assert_eq!(planned(&cached, &["1", "2"]), Some(("1".to_owned(), missing)));
    }

    #[test]
    fn all_artefacts_are_refreshed_after_the_archive_drops_a_release() {
        let cached = [(Image::Vmlinux612, "1"), (Image::Debug612, "1")];
        let (newest, images) = planned(&cached, &["2", "3"]).expect("a release");
        let all = [Image::Vmlinux612, Image::Debug612, Image::Vmlinuz612, Image::Modules612];
        assert_eq!((newest.as_str(), images.as_slice()), ("3", &all[..]));
    }

    #[test]
    fn two_releases_side_by_side_are_not_complete() {
        let cached = ALL.map(|image| (image, release("1")));
        assert!(is_complete(&ALL, &cached));
        let mut mixed = cached.clone();
        mixed[2].1 = release("2");
        assert!(!is_complete(&ALL, &mixed) && !is_complete(&ALL[..2], &mixed));
        assert!(!is_complete(&ALL, &cached[..2]) && is_complete(&ALL[..2], &cached[..2]));
        let plan = plan(&ALL[..1], &mixed, &[release("1"), release("2")]).expect("a release");
        assert_eq!(plan, Plan { release: release("2"), images: ALL.into() });
    }
}
