//! The runtime's library: whether a file is one, for the program's machine.

use super::error::Why;
use super::program::ElfProgram;
use super::record::{LE, Section, Symbol, all_records};
use object::elf::{DT_SONAME, DT_SYMTAB, EM_X86_64, Machine, SHN_UNDEF, SHT_DYNSYM};
use std::path::{Path, PathBuf};

/// The DT_SONAME of the library, by which programs load it.
pub const SONAME: &str = "libjlshim.so.0";
/// A function of the first version that reads notes, and of all later ones.
const READS_NOTES: &[u8] = b"jlshim_find_linked";

/// The library that `path` names: the file itself, or the one in that directory.
#[must_use]
pub fn library(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(SONAME) } else { path.to_owned() }
}

/// Checks that `bytes`, the contents of the file at `path`, are a runtime for programs of
/// `machine`.
pub(super) fn check(path: &Path, bytes: &[u8], machine: Machine) -> Result<(), Why> {
    let no = |why: String| Why::Shim { path: path.to_owned(), why };
    let library = ElfProgram::read(bytes).map_err(|why| no(format!("not a library: {why}")))?;
    if library.machine() != machine {
        let (expected, found) = (name(machine), name(library.machine()));
        return Err(no(format!("expected a library for {expected}, found one for {found}")));
    }
    let soname = library.dynamic_value(DT_SONAME).and_then(|at| library.string(at).ok());
    if soname != Some(SONAME.as_bytes()) {
        let found = String::from_utf8_lossy(soname.unwrap_or(b"none"));
        return Err(no(format!("expected the DT_SONAME {SONAME}, found {found}")));
    }
    if !defines(&library, READS_NOTES) {
        return Err(no(
            "expected the function jlshim_find_linked, found none: the library is older than `jlctl \
             link`, or its symbols are damaged"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether a library defines a symbol.
pub(super) fn defines(library: &ElfProgram<'_>, wanted: &[u8]) -> bool {
    symbol(library, wanted).is_some()
}

/// The entry of a symbol that a library defines.
pub(super) fn symbol<'a>(library: &ElfProgram<'a>, wanted: &[u8]) -> Option<&'a Symbol> {
    let symtab = library.dynamic_value(DT_SYMTAB);
    let is_symbols = |section: &&Section| {
        section.sh_type.get(LE) == SHT_DYNSYM && Some(section.sh_addr.get(LE)) == symtab
    };
    let section = library.sections.iter().find(is_symbols)?;
    let symbols = library.section_bytes(section).unwrap_or_default();
    all_records::<Symbol>(symbols).iter().find(|symbol| {
        let name = u64::from(symbol.st_name.get(LE));
        symbol.st_shndx.get(LE) != SHN_UNDEF && library.string(name).ok() == Some(wanted)
    })
}

/// The name of a machine that programs are linked for.
pub(super) fn name(machine: Machine) -> &'static str {
    if machine == EM_X86_64 { "x86_64" } else { "aarch64" }
}
