//! Split debug information: `.dwo` files next to the objects, or one `.dwp` package next to the
//! image (DWARF 5, 7.3.2; GNU extensions before it).

use super::dwarf::{Dwarf, DwarfSections, Slice, Unit};
use super::units::Lookup;
use crate::image::{DebugSections, Image, MappedFile};
use gimli::{DwarfPackage, DwoId, UnitType};
use std::path::{Path, PathBuf};

/// Calls `read` with the unit that holds the functions of `skeleton`: its split unit if it has
/// one, or else `skeleton` itself.
///
/// # Errors
/// Why the split unit cannot be read.
pub(super) fn with_full_unit<T>(
    lookup: &Lookup<'_>,
    skeleton: &Unit<'_>,
    read: impl FnOnce(&Dwarf<'_>, &Unit<'_>) -> T,
) -> Result<T, String> {
    let Some((id, name)) = reference(lookup.dwarf, skeleton) else {
        return Ok(read(lookup.dwarf, skeleton));
    };
    let package = with_suffix(lookup.image, ".dwp");
    if let Ok(file) = MappedFile::open(&package) {
        return in_package(&file, lookup.dwarf, skeleton, id, read)
            .map_err(|error| format!("{}: {error}", package.display()));
    }
    let candidates = candidates(lookup, skeleton, &name);
    let Some(file) = candidates.iter().find_map(|path| MappedFile::open(path).ok()) else {
        let tried: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("split debug information not found, tried {}", tried.join(", ")));
    };
    in_object(&file, lookup.dwarf, skeleton, id, read)
        .map_err(|error| format!("{}: {error}", file.path().display()))
}

/// Id and file name of the split unit of a skeleton.
fn reference(dwarf: &Dwarf<'_>, skeleton: &Unit<'_>) -> Option<(DwoId, String)> {
    let id = skeleton.dwo_id?;
    let name = dwarf.attr_string(skeleton, skeleton.dwo_name().ok()??).ok()?;
    Some((id, name.to_string_lossy().into_owned()))
}

/// Paths at which a `.dwo` may lie: the recorded one, and next to the image if the tree was
/// moved.
fn candidates(lookup: &Lookup<'_>, skeleton: &Unit<'_>, name: &str) -> Vec<PathBuf> {
    let name = Path::new(name);
    let beside = lookup.image.parent().unwrap_or(Path::new(""));
    let recorded = skeleton.comp_dir.map(|directory| directory.to_string_lossy().into_owned());
    let mut all = vec![Path::new(recorded.as_deref().unwrap_or_default()).join(name)];
    all.push(beside.join(name));
    all.extend(name.file_name().map(|name| beside.join(name)));
    all.dedup();
    all
}

/// `path` with `suffix` appended to its last name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sections<'data>(file: &'data MappedFile) -> Result<DebugSections<'data>, String> {
    Image::parse_sections(file.bytes()).map_err(|error| error.to_string())
}

fn in_object<T>(
    file: &MappedFile,
    parent: &Dwarf<'_>,
    skeleton: &Unit<'_>,
    id: DwoId,
    read: impl FnOnce(&Dwarf<'_>, &Unit<'_>) -> T,
) -> Result<T, String> {
    let elf = sections(file)?;
    let sections = DwarfSections::load_dwo(&elf).map_err(|error| error.to_string())?;
    let mut dwarf = sections.dwarf();
    dwarf.make_dwo(parent);
    with_unit(&dwarf, skeleton, id, read)
}

fn in_package<T>(
    file: &MappedFile,
    parent: &Dwarf<'_>,
    skeleton: &Unit<'_>,
    id: DwoId,
    read: impl FnOnce(&Dwarf<'_>, &Unit<'_>) -> T,
) -> Result<T, String> {
    let elf = sections(file)?;
    let sections = DwarfSections::load_dwo(&elf).map_err(|error| error.to_string())?;
    let empty = Slice::new(&[], sections.endian());
    let package = DwarfPackage::load(|id| Ok::<_, gimli::Error>(sections.section(id)), empty)
        .map_err(|error| error.to_string())?;
    let dwarf = package
        .find_cu(id, parent)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("expected a unit with the id {:#018x}, found none", id.0))?;
    with_unit(&dwarf, skeleton, id, read)
}

/// Finds the unit with `id` and lends it to `read`.
fn with_unit<'a, T>(
    dwarf: &Dwarf<'a>,
    skeleton: &Unit<'a>,
    id: DwoId,
    read: impl FnOnce(&Dwarf<'a>, &Unit<'a>) -> T,
) -> Result<T, String> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().map_err(|error| error.to_string())? {
        // DWARF 5 has the id in the header, the GNU extension has it in the root.
        if matches!(header.type_(), UnitType::SplitCompilation(other) if other != id) {
            continue;
        }
        let mut unit = dwarf.unit(header).map_err(|error| error.to_string())?;
        if unit.dwo_id == Some(id) {
            unit.copy_relocated_attributes(skeleton);
            return Ok(read(dwarf, &unit));
        }
    }
    Err(format!("expected a unit with the id {:#018x}, found none", id.0))
}
