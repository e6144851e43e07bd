//! Links finished programs with the runtime, and takes that out again.
//!
//! What is linked is an executable or a shared object with a jump table in the kernel's layout
//! and no runtime; or, for the runtime's `__clear_cache`, one that writes code.  What the dynamic
//! linker loads needs `libjlshim.so.0` then; a static program has the runtime in itself.  Both
//! have a note (`jlctl_shim::note`) by which the runtime finds the table, and the names of keys.

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

/// How a program is linked.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The library, or the directory that has it.
    pub shim: PathBuf,
    /// What the program has as the library's directory; that of `shim` if it is left out.
    pub runpath: Option<String>,
    /// Whether the library's `__clear_cache` takes the place of all others.
    pub sync_icache: bool,
    /// Whether to wait until the result is on the disk.
    pub durability: Durability,
}

/// What was linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// The name of its machine.
    pub machine: &'static str,
    /// Whether it is a shared object, which is never closed once it is linked.
    pub is_library: bool,
    /// Entries of its table.
    pub sites: usize,
    /// Their keys.
    pub keys: usize,
    /// How many of the keys have names.
    pub names: usize,
    /// The library that was found, or the image of the runtime that was put into the program.
    pub shim: PathBuf,
    /// The directory that the program looks for it in; none where the runtime is in the program
    /// itself, which no dynamic linker loads.
    pub runpath: Option<String>,
    /// Whether the dynamic section was moved, where it is not protected after relocation.
    pub moved_dynamic: bool,
    /// Length of the file before, in bytes.
    pub old_length: u64,
    /// Length of the new file.
    pub new_length: u64,
    /// How it was copied.
    pub copied: CopyMethod,
}

/// Writes `image`, linked with the runtime, to `out`.
///
/// # Errors
/// Why not; `out` is as it was then.
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

/// What the link of `program` changes, and the report but for how it is copied.
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
        // The copy is under way.
        copied: CopyMethod::ReadWrite,
    };
    let mut writes = written(linked.edits);
    writes.push((linked.tail.offset, linked.tail.bytes));
    Ok((Rewrite { keep: old_length, writes }, report))
}

/// The table that the runtime is to work with; none where only its `__clear_cache` is wanted.
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
        // What has no sites may write code all the same.
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

/// What was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveReport {
    /// Whether the file is what it was before the link, but for keys flipped in it since; if
    /// not, it was changed in other ways, and is what it was made into without the runtime.
    pub is_exact: bool,
    /// Length of the file before, in bytes.
    pub old_length: u64,
    /// Length of the new file.
    pub new_length: u64,
    /// How it was copied.
    pub copied: CopyMethod,
}

/// Writes `image`, a linked program, without the runtime to `out`.
///
/// # Errors
/// Why not; `out` is as it was then.
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

/// Checks the library, and gives the directory that the program is to look for it in.
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
    directory.map(str::to_owned).ok_or_else(|| of("its directory's name is no UTF-8".to_owned()))
}

/// The runtime that is put into a static program, and the file that has it.
fn embedded_runtime(
    program: &ElfProgram<'_>,
    options: &LinkOptions,
) -> Result<(PathBuf, embedded::RuntimeImage), LinkError> {
    let path = embedded::file(&options.shim);
    let of = |why: String| LinkError::of(&path, Why::Shim { path: path.clone(), why });
    if options.runpath.is_some() {
        return Err(of("a static program looks for no library: leave --runpath out".to_owned()));
    }
    let found = ImageFile::open(&path, Limits::default()).map_err(|error| of(error.to_string()))?;
    let image = embedded::RuntimeImage::read(&path, found.file_bytes(), program.machine())
        .map_err(|why| LinkError::of(&path, why))?;
    Ok((path, image))
}

/// The keys that symbols name, by address.
fn names(image: &Image<'_>, table: &JumpTable<'_>) -> Vec<NamedKey> {
    let names = KeyNames::new(image, table.keys(), &[]);
    let named = table.keys().iter().zip(names.all());
    named
        .filter(|(_, name)| name.symbol().is_some())
        .map(|(key, name)| NamedKey { key: key.address, name: name.by_symbol().to_owned() })
        .collect()
}
