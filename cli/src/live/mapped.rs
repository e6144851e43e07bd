//! The files that a process has mapped, and their load addresses.

use crate::args::Global;
use crate::open::images::{self, Contents, Depth};
use crate::open::input::Input;
use crate::terminal::exit::{Kind, failure};
use crate::terminal::progress::Progress;
use crate::terminal::style::count;
use anyhow::Context as _;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{SECTION, STATIC_KEYS_SECTION};
use jlctl_patch_engine::images::ReadImage;
use jlctl_patch_engine::process::{Bias, Control, Mapping, Memory, locate, mappings};
use serde::Serialize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A program with sites has one of these sections.
const TABLES: [&str; 2] = [SECTION, STATIC_KEYS_SECTION];

/// The first bytes of an ELF file (gABI, "ELF Identification").
const MAGIC: &[u8] = b"\x7fELF";

/// Why no path leads to a mapped file.
const REPLACED: &str = "it was replaced or removed after it was mapped, and only root can open it";

/// A file, and the mapping by which it was found.
pub(crate) struct Mapped {
    pub(crate) input: Input,
    mapping: Option<Mapping>,
}

/// The files that a command works on.
pub(crate) struct Files {
    pub(crate) mapped: Vec<Mapped>,
    /// Other files that the process executes and that could not be read: whether they have keys or
    /// sites is unknown. `None` if files are named.
    pub(crate) unread: Option<Vec<Unread>>,
}

/// A file that could not be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Unread {
    /// The path of the file in the process's mappings.
    path: String,
    reason: String,
}

impl Files {
    /// Warns of the files that are left out.
    pub(crate) fn warn(&self, global: &Global, pid: i32) {
        for Unread { path, reason } in self.unread.iter().flatten() {
            Progress::new(global)
                .warn(&format!("process {pid}: keys and sites in {path} are skipped: {reason}"));
        }
    }
}

/// The files named, or all with a jump table that process `pid` has mapped for execution.
///
/// # Errors
/// If the process cannot be inspected, a named file cannot be read, or no file has a jump table.
pub(crate) fn open(pid: i32, named: &[PathBuf], debug_dirs: &[PathBuf]) -> anyhow::Result<Files> {
    let quiet = Progress::none();
    let all = mappings(pid)?;
    if !named.is_empty() {
        let open = |path: &PathBuf| {
            let is_it = |mapping: &&Mapping| mapping.is_executable && is_file(mapping, path);
            let mapping = all.iter().find(is_it).cloned();
            Ok(Mapped { input: Input::open(path, debug_dirs, &quiet)?, mapping })
        };
        let mapped = named.iter().map(open).collect::<anyhow::Result<_>>()?;
        return Ok(Files { mapped, unread: None });
    }
    let mut files: Vec<&Mapping> = Vec::new();
    for mapping in all.iter().filter(|mapping| mapping.is_executable) {
        if !files.iter().any(|known| known.is_of_file(mapping)) {
            files.push(mapping);
        }
    }
    let (mut mapped, mut unread) = (Vec::new(), Vec::new());
    for mapping in &files {
        let opened = match path_of(pid, mapping) {
            Some(path) => {
                Input::open(&path, debug_dirs, &quiet).map_err(|error| format!("{error:#}"))
            }
            None => Err(REPLACED.to_owned()),
        };
        match opened {
            Ok(input) if has_table(&input) => {
                mapped.push(Mapped { input, mapping: Some((*mapping).clone()) });
            }
            Err(reason) if may_be_elf(pid, &all, mapping) => {
                unread.push(Unread { path: mapping.path.clone(), reason });
            }
            Ok(_) | Err(_) => {}
        }
    }
    if mapped.is_empty() {
        let mut text = format!(
            "process {pid}: none of the {} that it executes has a jump table (section {})",
            count(files.len() - unread.len(), "file"),
            TABLES.join(" or ")
        );
        if unread.is_empty() {
            text += ": it has no static keys";
        }
        for Unread { path, reason } in &unread {
            text += &format!("; {path} could not be read: {reason}");
        }
        return Err(failure(Kind::Refused, text));
    }
    Ok(Files { mapped, unread: Some(unread) })
}

/// Whether the file of a mapping begins like an ELF file, or cannot be read. Memory that a JIT
/// compiler maps twice also has a file, which cannot have a table.
fn may_be_elf(pid: i32, all: &[Mapping], mapping: &Mapping) -> bool {
    let first = all.iter().find(|other| other.is_of_file(mapping) && other.offset == 0);
    let Some(first) = first else { return false };
    let magic = Memory::open(pid, false).and_then(|memory| memory.read(first.start, MAGIC.len()));
    magic.map_or(true, |magic| magic == MAGIC)
}

fn has_table(input: &Input) -> bool {
    Image::parse_sections(input.file().bytes())
        .is_ok_and(|sections| TABLES.iter().any(|name| sections.named(name).is_some()))
}

/// A path by which the mapped file itself can be opened: its own path, in the view of jlctl or of
/// the process, or a link of the kernel to the program or to the mapping (proc_pid_map_files(5)),
/// which also leads to a file that was replaced.
fn path_of(pid: i32, mapping: &Mapping) -> Option<PathBuf> {
    let seen = PathBuf::from(format!("/proc/{pid}/root{}", mapping.path));
    let program = PathBuf::from(format!("/proc/{pid}/exe"));
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
    let paths = [PathBuf::from(&mapping.path), seen, program, PathBuf::from(link)];
    paths.into_iter().find(|path| is_file(mapping, path))
}

fn is_file(mapping: &Mapping, path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.ino() == mapping.inode)
}

/// The process that a command works on.
pub(crate) struct Process<'a> {
    pub(crate) read: &'a [ReadImage<'a>],
    pub(crate) biases: Vec<Bias>,
    pub(crate) memory: &'a Memory,
}

/// Reads the files, finds them in the memory of process `pid`, and calls `then`.
///
/// # Errors
/// If a file is not the one that the process runs, and errors of `then`.
pub(crate) fn with<T>(
    pid: i32,
    mapped: &[Mapped],
    is_written: bool,
    then: impl FnOnce(Process<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let memory = Memory::open(pid, is_written)?;
    let all = mappings(pid)?;
    let find = |image: &Image<'_>, mapped: &Mapped| {
        Ok(locate(image, mapped.input.path(), mapped.mapping.as_ref(), &all, &memory)?)
    };
    with_biases(pid, mapped, find, |read, biases| then(Process { read, biases, memory: &memory }))
}

/// Reads the files, locates them by the answers of the control socket, and calls `then` with the
/// images and their load biases.
///
/// # Errors
/// As [`with`].
pub(crate) fn with_control<T>(
    control: &Control,
    mapped: &[Mapped],
    then: impl FnOnce(&[ReadImage<'_>], Vec<Bias>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let pid = control.pid();
    let find = |image: &Image<'_>, mapped: &Mapped| {
        control.locate(image, mapped.mapping.as_ref()).ok_or_else(|| {
            let text = format!(
                "{}: process {pid} has no object of this build id with a jump table that its \
                 runtime knows; --ptrace reaches others",
                mapped.input.path().display()
            );
            failure(Kind::Refused, text)
        })
    };
    with_biases(pid, mapped, find, then)
}

fn with_biases<T>(
    pid: i32,
    mapped: &[Mapped],
    find: impl Fn(&Image<'_>, &Mapped) -> anyhow::Result<Bias>,
    then: impl FnOnce(&[ReadImage<'_>], Vec<Bias>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let quiet = Progress::none();
    let images: Vec<Image<'_>> =
        mapped.iter().map(|mapped| mapped.input.image(&quiet)).collect::<anyhow::Result<_>>()?;
    let mut contents: Vec<Contents<'_>> = Vec::new();
    for (mapped, image) in mapped.iter().zip(&images) {
        contents.extend(images::contents(
            std::slice::from_ref(&mapped.input),
            std::slice::from_ref(image),
            Depth::Names,
            &quiet,
        )?);
    }
    let read: Vec<ReadImage<'_>> = mapped
        .iter()
        .zip(&images)
        .zip(&contents)
        .map(|((mapped, image), contents)| ReadImage {
            file: mapped.input.file(),
            image,
            table: contents.table.as_ref(),
            keys: &contents.keys,
        })
        .collect();
    let biases = mapped
        .iter()
        .zip(&images)
        .map(|(mapped, image)| {
            check_machine(image, mapped.input.path()).with_context(|| format!("process {pid}"))?;
            find(image, mapped)
        })
        .collect::<anyhow::Result<_>>()?;
    then(&read, biases)
}

/// Verifies that the image is for this machine. The process of an emulator maps images for another
/// machine; the code in its memory is not the code that is executed.
fn check_machine(image: &Image<'_>, path: &Path) -> anyhow::Result<()> {
    let (found, here) = (image.arch().name(), std::env::consts::ARCH);
    let expected = if here == "aarch64" { "arm64" } else { here };
    if found == expected {
        return Ok(());
    }
    Err(failure(
        Kind::Refused,
        format!("{}: expected code for {expected}, found {found}", path.display()),
    ))
}
