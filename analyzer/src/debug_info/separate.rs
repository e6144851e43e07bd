//! Separate debug files: found by build id or by `.gnu_debuglink`, in the order of gdb, and for
//! kernel modules by their path.
//!
//! # Modules
//! Debian's debug packages hold the debug files of modules neither in `.build-id` nor under the
//! name of a debug link, but under the path of the installed module:
//! `lib/modules/RELEASE/kernel/….ko` for `….ko.xz`.  RELEASE comes from the module's vermagic.
//! The rest is the module's own path, starting at its last component `kernel`, `updates` or
//! `extra`, the directories that modules are installed in (scripts/Makefile.modinst, Linux
//! 6.12).  A file found there counts only if it is of the same build, as everywhere.
//!
//! Both files of a module are relocatable.  Addresses are translated from one to the other by
//! section name and offset ([`DebugSections::placed_as`]); a file with a section of another
//! size is rejected.

use super::split::with_suffix;
use crate::image::{DebugSections, Image, MappedFile};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Directories below `lib/modules/RELEASE` that hold modules.
const MODULE_DIRECTORIES: [&str; 3] = ["kernel", "updates", "extra"];
/// Extensions of compressed modules (CONFIG_MODULE_COMPRESS_*).
const COMPRESSED: [&str; 3] = ["xz", "gz", "zst"];

/// A separate debug file that belongs to an image.
#[derive(Debug)]
pub struct DebugFile {
    /// The file.
    pub file: MappedFile,
}

/// Searches for the debug file of the image at `path`.  `roots` are directories with a
/// `.build-id` tree or a copy of the file system's tree (`/usr/lib/debug`). The debug file of a
/// kernel module is also searched for under its path below `lib/modules` and `usr/lib/modules`
/// of each root.
///
/// A file counts if its build id is the image's or, if the image has no build id, if its CRC is
/// that of the debug link.
#[must_use]
pub fn find_debug_file(
    path: &Path,
    image: &DebugSections<'_>,
    roots: &[PathBuf],
) -> Option<DebugFile> {
    candidates(path, image, roots).into_iter().find_map(|candidate| {
        let file = MappedFile::open(&candidate).ok()?;
        belongs(image, file.bytes()).then_some(DebugFile { file })
    })
}

fn candidates(path: &Path, image: &DebugSections<'_>, roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let Some((first, rest)) = image.build_id().and_then(<[u8]>::split_first) {
        let rest = rest.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let name = format!(".build-id/{first:02x}/{rest}.debug");
        all.extend(roots.iter().map(|root| root.join(&name)));
    }
    if let Some(link) = image.debug_link() {
        let directory = path.parent().unwrap_or(Path::new(""));
        all.push(directory.join(link.name));
        all.push(directory.join(".debug").join(link.name));
        if let Ok(absolute) = std::path::absolute(directory) {
            let below = absolute.strip_prefix("/").unwrap_or(&absolute).to_owned();
            all.extend(roots.iter().map(|root| root.join(&below).join(link.name)));
        }
    }
    if let Some(below) = module_path(path, image) {
        for root in roots {
            for modules in ["lib/modules", "usr/lib/modules"] {
                let file = root.join(modules).join(&below);
                all.push(with_suffix(&file, ".debug"));
                all.push(file);
            }
        }
    }
    // The debug link of an image may name the image itself.
    all.retain(|candidate| candidate != path);
    all
}

/// The path of an installed module below `lib/modules`: its release and its own path, without
/// the suffix of a compression.
fn module_path(path: &Path, image: &DebugSections<'_>) -> Option<PathBuf> {
    let release = Path::new(image.module_release()?);
    // A release with a separator in it could lead out of the directory.
    let mut parts = release.components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return None;
    }
    let absolute = std::path::absolute(path).ok()?;
    let parts: Vec<&OsStr> = absolute.iter().collect();
    let is_root = |part: &&OsStr| MODULE_DIRECTORIES.iter().any(|name| part == name);
    let start = parts.iter().rposition(is_root)?;
    let mut below = parts[start..].iter().fold(release.to_owned(), |path, part| path.join(part));
    if COMPRESSED.iter().any(|suffix| below.extension() == Some(OsStr::new(suffix))) {
        below.set_extension("");
    }
    Some(below)
}

fn belongs(image: &DebugSections<'_>, debug: &[u8]) -> bool {
    let found = Image::parse_sections(debug).and_then(|found| found.placed_as(image.all()));
    let Ok(found) = found else { return false };
    match (image.build_id(), image.debug_link()) {
        (Some(wanted), _) => found.build_id() == Some(wanted),
        (None, Some(link)) => {
            let mut crc = flate2::Crc::new();
            crc.update(debug);
            crc.sum() == link.crc
        }
        (None, None) => false,
    }
}
