//! Separate debug files: found by build id or by `.gnu_debuglink`, the way gdb
//! looks for them, and those of kernel modules by their path.
//!
//! # Modules
//! Debian's packages of debug files have those of modules neither in
//! `.build-id` nor behind a link, but under the path that the module is installed
//! at: `lib/modules/RELEASE/kernel/….ko` for `….ko.xz`.  RELEASE is what the
//! module's vermagic states, the rest of the path the module's own from its last
//! `kernel`, `updates` or `extra` on, the directories that modules are installed
//! in (scripts/Makefile.modinst, Linux 6.12).  As everywhere, a file found there
//! counts only if it is of the same build.
//!
//! Both files of a module are relocatable.  Addresses lead from one to the other
//! by section name and offset ([`DebugSections::placed_as`]); a file with a section of
//! another size is refused.

use super::split::with_suffix;
use crate::image::{DebugSections, Image, MappedFile};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Directories below `lib/modules/RELEASE` that modules are installed in.
const MODULE_DIRECTORIES: [&str; 3] = ["kernel", "updates", "extra"];
/// Extensions of compressed modules (CONFIG_MODULE_COMPRESS_*).
const COMPRESSED: [&str; 3] = ["xz", "gz", "zst"];

/// A separate debug file that belongs to an image.
#[derive(Debug)]
pub struct DebugFile {
    /// The file.
    pub file: MappedFile,
}

/// Looks for the debug file of the image at `path`.  `roots` are directories
/// with a `.build-id` tree or a copy of the file system's (`/usr/lib/debug`).
/// A kernel module's is also looked for under its path below `lib/modules` and
/// `usr/lib/modules` of each root.
///
/// A file counts if its build id is the image's or, where the image has none,
/// if its CRC is that of the debug link.
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
    // An image may link to its own name.
    all.retain(|candidate| candidate != path);
    all
}

/// Where a module is installed, below `lib/modules`: its release and its path,
/// without the suffix of compression.
fn module_path(path: &Path, image: &DebugSections<'_>) -> Option<PathBuf> {
    let release = Path::new(image.module_release()?);
    // A release that is no name of a directory would lead anywhere.
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
