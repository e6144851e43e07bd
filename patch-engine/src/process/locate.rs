//! Where an image is mapped in a process, and whether it is that very build.
//!
//! The process's memory decides, not its files: the build id is read from memory, so that a file
//! that was replaced since the process was started is detected.

use super::error::ProcessError;
use super::maps::Mapping;
use super::memory::Memory;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::{Image, Section};
use std::path::Path;

/// Name of the section with the build id (ELF note NT_GNU_BUILD_ID).
const BUILD_ID: &str = ".note.gnu.build-id";

/// The load bias of an image: the difference of an address at run time and the address that the
/// image states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bias(u64);

impl Bias {
    /// The address at run time of an address that the image states.
    #[must_use]
    pub const fn at_run_time(self, address: Svma) -> u64 {
        address.0.wrapping_add(self.0)
    }

    /// The bias of `bytes` bytes.
    pub(crate) const fn of_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bias, in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Finds the mapping of the image from the file at `path`.
///
/// An image is recognised by the build id in the process's memory; an image without a build id by
/// being the mapped file itself, `own`.
///
/// # Errors
/// If the image is not mapped, or another build of it is.
pub fn locate(
    image: &Image<'_>,
    path: &Path,
    own: Option<&Mapping>,
    mappings: &[Mapping],
    memory: &Memory,
) -> Result<Bias, ProcessError> {
    let executable = |mapping: &&Mapping| mapping.is_executable;
    for mapping in mappings.iter().filter(executable) {
        let Some(bias) = bias(image, mapping) else { continue };
        let is_it = match build_id(image, bias, memory) {
            Some(is_equal) => is_equal,
            None => own.is_some_and(|own| own.is_of_file(mapping)),
        };
        if is_it {
            return Ok(bias);
        }
    }
    Err(ProcessError::NotMapped { pid: memory.pid(), why: why(image, path, mappings) })
}

/// The bias with which `mapping` contains a code section of the image.
pub(super) fn bias(image: &Image<'_>, mapping: &Mapping) -> Option<Bias> {
    let end = mapping.offset.checked_add(mapping.end.checked_sub(mapping.start)?)?;
    let code = image.sections().iter().filter(|section| section.is_executable());
    let mut inside = code.filter(|section: &&Section<'_>| {
        (mapping.offset..end).contains(&section.offset.0) && !section.flags.no_bits
    });
    let section = inside.next()?;
    let at = mapping.start + (section.offset.0 - mapping.offset);
    Some(Bias(at.wrapping_sub(section.range.start().0)))
}

/// Whether memory contains the image's build id; `None` if the image has no build id.
fn build_id(image: &Image<'_>, bias: Bias, memory: &Memory) -> Option<bool> {
    let section = image.sections().iter().find(|section| section.name == BUILD_ID)?;
    let address = bias.at_run_time(section.range.start());
    let found = memory.read(address, section.data.len());
    Some(found.is_ok_and(|found| found == section.data))
}

fn why(image: &Image<'_>, path: &Path, mappings: &[Mapping]) -> String {
    let shown = path.display();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let of_name = |mapping: &&Mapping| {
        let mapped = Path::new(&mapping.path).file_name();
        mapping.is_executable && mapped.map(|mapped| mapped.to_string_lossy().into_owned()) == name
    };
    let id = image.build_id().map_or_else(
        || "without a build id".to_owned(),
        |id| {
            format!("build id {}", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        },
    );
    match mappings.iter().find(of_name) {
        Some(mapping) if mapping.is_deleted => format!(
            "{shown} ({id}) is not the build that runs: {} was replaced since the process was started; use the \
             file that the process was started from, or restart the process",
            mapping.path
        ),
        Some(mapping) => {
            format!("{} is mapped, but it is another build than {shown} ({id})", mapping.path)
        }
        None => format!("{shown} ({id}) is not mapped"),
    }
}
