//! The dynamic section of a linked program: it names the runtime, and the directory to search.

use super::error::Why;
use super::program::ElfProgram;
use super::record::{DynamicEntry, LE};
use super::shim::SONAME;
use super::tail::{At, Tail};
use super::undo::FileEdit;
use object::elf::{
    DF_1_NODELETE, DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ,
    DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERNEED, DT_VERSYM, DynamicTag, PT_DYNAMIC,
};
use object::pod::bytes_of;
use object::{I64, U64};

/// The new dynamic section.
#[derive(Debug)]
pub(super) struct Dynamic {
    /// Tags and values, without the final DT_NULL.
    pub(super) entries: Vec<(DynamicTag, u64)>,
    /// The location of its strings.
    pub(super) strings: At,
}

/// The library that the program needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct NeededLibrary<'a> {
    /// The directory of the library, for DT_RUNPATH.
    pub(super) runpath: &'a [u8],
    /// Whether the library's symbols take precedence over those of all others.
    pub(super) is_first: bool,
}

/// Adds the runtime to the needed libraries; appends the strings to `tail`. `moved` gives the new
/// address of a part that was moved.
pub(super) fn compose(
    program: &ElfProgram<'_>,
    tail: &mut Tail,
    wish: NeededLibrary<'_>,
    moved: impl Fn(u64) -> Option<u64>,
) -> Result<Dynamic, Why> {
    let mut strings = program.strings()?.to_vec();
    let mut entries = program.dynamic.clone();
    let needed = add(&mut strings, &[SONAME.as_bytes()]);
    let place = |(tag, _): &(DynamicTag, u64)| *tag == DT_NEEDED;
    let at = match wish.is_first {
        true => entries.iter().position(place).unwrap_or(0),
        false => entries.iter().rposition(place).map_or(0, |last| last + 1),
    };
    entries.insert(at, (DT_NEEDED, needed));
    search_path(program, &mut entries, &mut strings, wish.runpath)?;
    if program.is_library() {
        flag(&mut entries, DF_1_NODELETE.0);
    }
    let strings = tail.place(8, &strings);
    for (tag, value) in &mut entries {
        match *tag {
            DT_STRTAB => *value = strings.address,
            DT_STRSZ => *value = strings.size,
            tag if is_moved_with_its_section(tag) => {
                *value = moved(*value).unwrap_or(*value);
            }
            _ => {}
        }
    }
    Ok(Dynamic { entries, strings })
}

/// The dynamic section of a program that relocates itself, with the addresses of parts that were
/// moved; `None` if no address changes.
pub(super) fn relocated(
    program: &ElfProgram<'_>,
    moved: impl Fn(u64) -> Option<u64>,
) -> Option<FileEdit> {
    let old = program.segment(PT_DYNAMIC)?;
    let mut entries = program.dynamic.clone();
    for (tag, value) in &mut entries {
        if *tag == DT_STRTAB || is_moved_with_its_section(*tag) {
            *value = moved(*value).unwrap_or(*value);
        }
    }
    let bytes = encode(&entries, usize::try_from(old.p_filesz.get(LE)).unwrap_or(0));
    (entries != program.dynamic).then_some(FileEdit { offset: old.p_offset.get(LE), bytes })
}

const fn is_moved_with_its_section(tag: DynamicTag) -> bool {
    matches!(tag, DT_HASH | DT_GNU_HASH | DT_SYMTAB | DT_VERSYM | DT_VERDEF | DT_VERNEED)
}

/// Appends a string, given in parts, to `strings`; returns its offset.
fn add(strings: &mut Vec<u8>, parts: &[&[u8]]) -> u64 {
    let offset = strings.len() as u64;
    parts.iter().for_each(|part| strings.extend(*part));
    strings.push(0);
    offset
}

/// Makes the dynamic linker search `directory` after the directories that the program has.
///
/// A program with a DT_RPATH alone keeps it, lengthened: ld.so(8) ignores a DT_RPATH beside a
/// DT_RUNPATH.
fn search_path(
    program: &ElfProgram<'_>,
    entries: &mut Vec<(DynamicTag, u64)>,
    strings: &mut Vec<u8>,
    directory: &[u8],
) -> Result<(), Why> {
    let of = |wanted: DynamicTag| entries.iter().position(|(tag, _)| *tag == wanted);
    let Some(at) = of(DT_RUNPATH).or(of(DT_RPATH)) else {
        let value = add(strings, &[directory]);
        entries.push((DT_RUNPATH, value));
        return Ok(());
    };
    if let Some((_, value)) = entries.get_mut(at) {
        let old = program.string(*value)?;
        if !old.split(|byte| *byte == b':').any(|part| part == directory) {
            let separator: &[u8] = if old.is_empty() { b"" } else { b":" };
            *value = add(strings, &[old, separator, directory]);
        }
    }
    Ok(())
}

fn flag(entries: &mut Vec<(DynamicTag, u64)>, flag: u64) {
    match entries.iter_mut().find(|(tag, _)| *tag == DT_FLAGS_1) {
        Some((_, value)) => *value |= flag,
        None => entries.push((DT_FLAGS_1, flag)),
    }
}

/// The bytes of the section: the entries, a DT_NULL, and zeros up to `size` bytes.
pub(super) fn encode(entries: &[(DynamicTag, u64)], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, value) in entries {
        let entry = DynamicEntry { d_tag: I64::new(LE, *tag), d_val: U64::new(LE, *value) };
        out.extend(bytes_of(&entry));
    }
    out.resize(size.max(out.len() + size_of::<DynamicEntry>()), 0);
    out
}
