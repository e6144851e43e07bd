//! Separate debug files: found by build id or by `.gnu_debuglink`, the way gdb
//! looks for them.

use crate::image::{Image, MappedFile, Sections};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A separate debug file that belongs to an image.
#[derive(Debug)]
pub struct DebugFile {
    /// The file.
    pub file: MappedFile,
}

/// Looks for the debug file of the image at `path`.  `roots` are directories
/// with a `.build-id` tree or a copy of the file system's (`/usr/lib/debug`).
///
/// A file counts if its build id is the image's or, where the image has none,
/// if its CRC is that of the debug link.
#[must_use]
pub fn find_debug_file(path: &Path, image: &Sections<'_>, roots: &[PathBuf]) -> Option<DebugFile> {
    candidates(path, image, roots).into_iter().find_map(|candidate| {
        let file = MappedFile::open(&candidate).ok()?;
        belongs(image, file.bytes()).then_some(DebugFile { file })
    })
}

fn candidates(path: &Path, image: &Sections<'_>, roots: &[PathBuf]) -> Vec<PathBuf> {
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
    // An image may link to its own name.
    all.retain(|candidate| candidate != path);
    all
}

fn belongs(image: &Sections<'_>, debug: &[u8]) -> bool {
    let Ok(found) = Image::parse_sections(debug) else { return false };
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
