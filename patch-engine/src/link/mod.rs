//! Links finished programs with the runtime, and takes links out again.
//!
//! A program that is linked is an executable or a shared object with a jump table in the kernel's
//! layout and without a runtime, or, for the runtime's `__clear_cache`, a program that writes code.
//! A dynamically linked program needs `libjlshim.so.0` after the link; a static program contains
//! the runtime. Both have a note (`jlctl_shim::note`) by which the runtime finds the table and the
//! names of keys.
//!
//! A link appends, and moves only what is in its way (`room.rs`, `compose.rs`). A linked library is
//! marked DF_1_NODELETE: a note registers its table, and no code of the library could unregister
//! it.

mod compose;
mod dynamic;
mod embedded;
mod error;
mod moves;
mod note;
mod program;
mod record;
mod refuse;
mod room;
mod shim;
mod tail;
mod undo;
mod unlink;

pub use error::{LinkError, Why};
pub use shim::{SONAME, library};

use crate::apply::{CopyMethod, Durability, Original, Rewrite, rewrite};
use compose::{LinkRequest, Runtime};
use jlctl_analyzer::image::container::Limits;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::{
    EntryLayout, JumpTable, KeyNames, LocateError, LocatedBy, Severity,
};
use note::NamedKey;
use program::ElfProgram;
use std::path::{Path, PathBuf};

/// Options of a link.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The library, or the directory that contains it.
    pub shim: PathBuf,
    /// The directory in which the program looks for the library; the directory of `shim` by
    /// default.
    pub runpath: Option<String>,
    /// Whether the library's `__clear_cache` replaces all others.
    pub sync_icache: bool,
    /// Whether to wait until the result is on the disk.
    pub durability: Durability,
}

/// The result of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// Name of the program's machine.
    pub machine: &'static str,
    /// Whether the program is a shared object, which is never unloaded once it is linked.
    pub is_library: bool,
    /// Number of the table's entries.
    pub sites: usize,
    /// Number of the table's keys.
    pub keys: usize,
    /// Number of the keys that have names.
    pub names: usize,
    /// The library, or the runtime's image that became part of the program.
    pub shim: PathBuf,
    /// The directory in which the program looks for the library; `None` for a static program, which
    /// contains the runtime.
    pub runpath: Option<String>,
    /// Whether the dynamic section was moved, to memory that is not protected after relocation.
    pub moved_dynamic: bool,
    /// Length of the old file, in bytes.
    pub old_length: u64,
    /// Length of the new file, in bytes.
    pub new_length: u64,
    /// How the bytes were copied.
    pub copied: CopyMethod,
}

/// Writes `image`, linked with the runtime, to `out`.
///
/// # Errors
/// If the program cannot be linked, or a file cannot be read or written; `out` is unchanged then.
pub fn link(image: &Path, out: &Path, options: &LinkOptions) -> Result<LinkReport, LinkError> {
    let file = open(image)?;
    let of = |why| LinkError::of(image, why);
    let program = ElfProgram::read(file.file_bytes()).map_err(of)?;
    let original = Original { path: image, length: program.bytes.len() as u64 };
    let (copied, report) = rewrite(original, out, options.durability, || {
        compose_link(image, &file, &program, options)
    })?;
    Ok(LinkReport { copied, ..report })
}

/// The changes that link `program`, and the report except for how the bytes were copied.
fn compose_link(
    path: &Path,
    file: &ImageFile,
    program: &ElfProgram<'_>,
    options: &LinkOptions,
) -> Result<(Rewrite, LinkReport), LinkError> {
    let of = |why| LinkError::of(path, why);
    let parsed = Image::parse(file.file_bytes())
        .map_err(|why| LinkError::Image { path: path.to_owned(), why })?;
    refuse::check(path, file, &parsed, program).map_err(of)?;
    let table = table(path, &parsed, program, options)?;
    let (shim, runpath, embedded) = if program.is_static() {
        let (shim, image) = embedded_runtime(program, options)?;
        (shim, None, Some(image))
    } else {
        let shim = shim::library(&options.shim);
        let runpath = check_shim(&shim, program, options)?;
        (shim, Some(runpath), None)
    };
    let names = table.as_ref().map(|table| names(&parsed, table)).unwrap_or_default();
    let count = names.len();
    let request = LinkRequest {
        table: table.as_ref().map(|table| table.location().range),
        names,
        runtime: match &embedded {
            Some(image) => Runtime::Embedded(image),
            None => Runtime::Library(runpath.as_deref().unwrap_or_default().as_bytes()),
        },
        sync_icache: options.sync_icache,
    };
    let linked = compose::compose(program, &request).map_err(of)?;
    let old_length = program.bytes.len() as u64;
    let report = LinkReport {
        machine: shim::name(program.machine()),
        is_library: program.is_library(),
        sites: table.as_ref().map_or(0, JumpTable::len),
        keys: table.as_ref().map_or(0, |table| table.keys().len()),
        names: count,
        shim,
        runpath,
        moved_dynamic: linked.moved_dynamic,
        old_length,
        new_length: linked.tail.offset + linked.tail.bytes.len() as u64,
        // The copy has not ended yet.
        copied: CopyMethod::ReadWrite,
    };
    let mut writes = written(linked.edits);
    writes.push((linked.tail.offset, linked.tail.bytes));
    Ok((Rewrite { keep: old_length, writes }, report))
}

/// The table that the runtime works with; `None` where only `__clear_cache` is wanted.
fn table<'a>(
    path: &Path,
    image: &'a Image<'a>,
    program: &ElfProgram<'_>,
    options: &LinkOptions,
) -> Result<Option<JumpTable<'a>>, LinkError> {
    let of = |why| LinkError::of(path, why);
    if options.sync_icache && program.is_static() {
        return Err(of(Why::Static));
    }
    if options.sync_icache && refuse::has_clear_cache(image) {
        return Err(of(Why::OwnClearCache));
    }
    let table = match JumpTable::read(image) {
        // A program without sites may write code nevertheless.
        Err(LocateError::NoTable { .. } | LocateError::NoChain { .. }) if options.sync_icache => {
            None
        }
        Err(why) => return Err(LinkError::NoTable { path: path.to_owned(), why }),
        Ok(table) => Some(table),
    };
    table.as_ref().map_or(Ok(()), sound).map_err(of)?;
    Ok(table)
}

fn written(edits: Vec<undo::FileEdit>) -> Vec<(u64, Vec<u8>)> {
    edits.into_iter().map(|edit| (edit.offset, edit.bytes)).collect()
}

/// The result of taking out a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveReport {
    /// Whether the file is the one before the link, except for keys that were flipped in it since.
    /// Otherwise the file was changed in other ways after the link, and the result is that file
    /// without the runtime.
    pub is_exact: bool,
    /// Length of the old file, in bytes.
    pub old_length: u64,
    /// Length of the new file, in bytes.
    pub new_length: u64,
    /// How the bytes were copied.
    pub copied: CopyMethod,
}

/// Writes `image`, a linked program, without the runtime to `out`.
///
/// # Errors
/// If the program is not linked or is damaged, or a file cannot be read or written; `out` is
/// unchanged then.
pub fn remove(image: &Path, out: &Path, durability: Durability) -> Result<RemoveReport, LinkError> {
    let file = open(image)?;
    let of = |why| LinkError::of(image, why);
    let program = ElfProgram::read(file.file_bytes()).map_err(of)?;
    let old_length = program.bytes.len() as u64;
    let original = Original { path: image, length: old_length };
    let (copied, (is_exact, new_length)) = rewrite(original, out, durability, || {
        let removal = unlink::compose(&program).map_err(of)?;
        let change = Rewrite { keep: removal.length, writes: written(removal.edits) };
        Ok::<_, LinkError>((change, (removal.is_exact, removal.length)))
    })?;
    Ok(RemoveReport { is_exact, old_length, new_length, copied })
}

fn open(path: &Path) -> Result<ImageFile, LinkError> {
    ImageFile::open(path, Limits::default())
        .map_err(|why| LinkError::Image { path: path.to_owned(), why })
}

/// Whether the runtime can work with a table.
fn sound(table: &JumpTable<'_>) -> Result<(), Why> {
    if table.location().by == LocatedBy::Scan {
        return Err(Why::Unnamed);
    }
    match table.layout() {
        EntryLayout::Relative => {}
        EntryLayout::Absolute => return Err(Why::Layout),
        EntryLayout::StaticKeys => return Err(Why::StaticKeys),
    }
    let is_error = |found: &&jlctl_analyzer::jump_table::Diagnostic| {
        found.defect.severity() == Severity::Error
    };
    match table.diagnostics().iter().find(is_error) {
        Some(found) => Err(Why::Table(found.defect.to_string())),
        None => Ok(()),
    }
}

/// Checks the library, and returns the directory in which the program looks for it.
fn check_shim(
    shim: &Path,
    program: &ElfProgram<'_>,
    options: &LinkOptions,
) -> Result<String, LinkError> {
    let of = |why: String| LinkError::of(shim, Why::Shim { path: shim.to_owned(), why });
    let found = ImageFile::open(shim, Limits::default()).map_err(|error| of(error.to_string()))?;
    shim::check(shim, found.file_bytes(), program.machine())
        .map_err(|why| LinkError::of(shim, why))?;
    if let Some(runpath) = &options.runpath {
        return Ok(runpath.clone());
    }
    let whole = shim.canonicalize().map_err(|error| of(error.to_string()))?;
    let directory = whole.parent().and_then(Path::to_str);
    directory
        .map(str::to_owned)
        .ok_or_else(|| of("the name of its directory is not UTF-8".to_owned()))
}

/// The runtime for a static program, and the file that contains it.
fn embedded_runtime(
    program: &ElfProgram<'_>,
    options: &LinkOptions,
) -> Result<(PathBuf, embedded::RuntimeImage), LinkError> {
    let path = embedded::file(&options.shim);
    let of = |why: String| LinkError::of(&path, Why::Shim { path: path.clone(), why });
    if options.runpath.is_some() {
        return Err(of("a static program loads no library: omit --runpath".to_owned()));
    }
    let found = ImageFile::open(&path, Limits::default()).map_err(|error| of(error.to_string()))?;
    let image = embedded::RuntimeImage::read(&path, found.file_bytes(), program.machine())
        .map_err(|why| LinkError::of(&path, why))?;
    Ok((path, image))
}

/// The keys that have symbols, by address.
fn names(image: &Image<'_>, table: &JumpTable<'_>) -> Vec<NamedKey> {
    let names = KeyNames::new(image, table.keys(), &[]);
    let named = table.keys().iter().zip(names.all());
    named
        .filter(|(_, name)| name.symbol().is_some())
        .map(|(key, name)| NamedKey { key: key.address, name: name.by_symbol().to_owned() })
        .collect()
}
