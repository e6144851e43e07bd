//! What is not linked: programs with the runtime in them, and files that others vouch for.

use super::error::Why;
use super::program::ElfProgram;
use super::record::{LE, Section};
use super::shim::SONAME;
use super::unlink;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_shim::note::TYPE_LINKED;
use object::elf::{DT_NEEDED, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS};
use std::path::Path;

/// A text that the runtime has in it, wherever it is linked into.
const RUNTIME_TEXT: &[u8] = b"JLSHIM_NO_MEMBARRIER";
/// Names of functions of the runtime that a program has if it is linked with it.
const RUNTIME_FUNCTIONS: [&str; 2] = ["jlshim_register", "jlshim_apply"];
/// The extended attribute in which the kernel's integrity measurement has a file's signature.
const SIGNATURE_ATTRIBUTE: &str = "security.ima";

/// Why `program`, the file at `path`, is not linked, if it is not.
pub(super) fn check(
    path: &Path,
    file: &ImageFile,
    image: &Image<'_>,
    program: &ElfProgram<'_>,
) -> Result<(), Why> {
    linked_already(image, program)?;
    signed(path, file)?;
    let appended = (program.bytes.len() as u64).saturating_sub(program.end());
    // What rounds up the file's length is nothing that a program reads.
    if appended > 16 { Err(Why::Appended(appended)) } else { Ok(()) }
}

fn linked_already(image: &Image<'_>, program: &ElfProgram<'_>) -> Result<(), Why> {
    let already = |how: &str| Err(Why::AlreadyLinked(how.to_owned()));
    if unlink::note(program).is_some_and(|note| note.kind == TYPE_LINKED) {
        return already("it has the note of `jlctl link`, which `--remove` takes out");
    }
    for (_, name) in program.dynamic.iter().filter(|(tag, _)| *tag == DT_NEEDED) {
        if program.string(*name)? == SONAME.as_bytes() {
            return already("it needs libjlshim.so.0");
        }
    }
    let functions = RUNTIME_FUNCTIONS.iter();
    if functions.clone().any(|name| image.symbols().named(name).next().is_some()) {
        return already("it has functions of libjlshim.a");
    }
    let is_data =
        |section: &&Section| section.sh_flags.get(LE) & (SHF_ALLOC | SHF_EXECINSTR) == SHF_ALLOC;
    for section in program.sections.iter().filter(is_data) {
        let bytes = program.section_bytes(section).unwrap_or_default();
        if section.sh_type.get(LE) != SHT_NOBITS && contains(bytes, RUNTIME_TEXT) {
            return already("it has texts of the runtime");
        }
    }
    Ok(())
}

/// Whether a program has the function that compilers call to clear caches in itself, as far
/// as its symbols say.
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
        // ERANGE: it is there, and longer than this.
        Ok(1..) | Err(rustix::io::Errno::RANGE) => {
            Err(Why::Signed(format!("the file has a signature ({SIGNATURE_ATTRIBUTE})")))
        }
        _ => Ok(()),
    }
}
