//! Programs that are not linked: those with the runtime, and files that are signed or sealed.

use super::error::Why;
use super::program::ElfProgram;
use super::record::{LE, Section};
use super::shim::SONAME;
use super::unlink;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_shim::note::TYPE_LINKED;
use object::elf::{DT_NEEDED, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS};
use std::path::Path;

/// A text that the runtime contains in every form.
const RUNTIME_TEXT: &[u8] = b"JLSHIM_NO_MEMBARRIER";
/// Functions that a program contains if the runtime was linked into it.
const RUNTIME_FUNCTIONS: [&str; 2] = ["jlshim_register", "jlshim_apply"];
/// The extended attribute with the signature of a file (Integrity Measurement Architecture).
const SIGNATURE_ATTRIBUTE: &str = "security.ima";

/// Checks that `program`, the file at `path`, may be linked.
pub(super) fn check(
    path: &Path,
    file: &ImageFile,
    image: &Image<'_>,
    program: &ElfProgram<'_>,
) -> Result<(), Why> {
    linked_already(image, program)?;
    signed(path, file)?;
    let appended = (program.bytes.len() as u64).saturating_sub(program.end());
    // Padding at the end of a file is not read by programs.
    if appended > 16 { Err(Why::Appended(appended)) } else { Ok(()) }
}

fn linked_already(image: &Image<'_>, program: &ElfProgram<'_>) -> Result<(), Why> {
    let already = |how: &str| Err(Why::AlreadyLinked(how.to_owned()));
    if unlink::note(program).is_some_and(|note| note.kind == TYPE_LINKED) {
        return already("it has a note of `jlctl link`, which `--remove` takes out");
    }
    for (_, name) in program.dynamic.iter().filter(|(tag, _)| *tag == DT_NEEDED) {
        if program.string(*name)? == SONAME.as_bytes() {
            return already("it needs libjlshim.so.0");
        }
    }
    let functions = RUNTIME_FUNCTIONS.iter();
    if functions.clone().any(|name| image.symbols().named(name).next().is_some()) {
        return already("it contains functions of libjlshim.a");
    }
    let is_data =
        |section: &&Section| section.sh_flags.get(LE) & (SHF_ALLOC | SHF_EXECINSTR) == SHF_ALLOC;
    for section in program.sections.iter().filter(is_data) {
        let bytes = program.section_bytes(section).unwrap_or_default();
        if section.sh_type.get(LE) != SHT_NOBITS && contains(bytes, RUNTIME_TEXT) {
            return already("it contains texts of the runtime");
        }
    }
    Ok(())
}

/// Whether a program defines the function that compilers call to clear caches, as far as its
/// symbols show.
pub(super) fn has_clear_cache(image: &Image<'_>) -> bool {
    let is_code =
        |address| image.section_at(address).is_some_and(|id| image.section(id).is_executable());
    image.symbols().named("__clear_cache").any(|(_, symbol)| is_code(symbol.address))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    memchr::memmem::find(bytes, wanted).is_some()
}

fn signed(path: &Path, file: &ImageFile) -> Result<(), Why> {
    if !matches!(file.signature(), Ok(None)) {
        return Err(Why::Signed("a signature is appended to the file".to_owned()));
    }
    let mut value = [0u8; 1];
    let found = rustix::fs::getxattr(path, SIGNATURE_ATTRIBUTE, &mut value[..]);
    match found {
        // ERANGE: the attribute exists, and is longer than the buffer.
        Ok(1..) | Err(rustix::io::Errno::RANGE) => {
            Err(Why::Signed(format!("the file has a signature ({SIGNATURE_ATTRIBUTE})")))
        }
        _ => Ok(()),
    }
}
