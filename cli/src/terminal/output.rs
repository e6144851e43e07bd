//! The output of results: standard output, or a file that is replaced atomically.

use super::exit::{Kind, failure};
use crate::args::{Color, Global};
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The output of a report, and whether it may use colour.
pub(crate) struct Sink<'a> {
    pub(crate) writer: &'a mut (dyn Write + Send),
    pub(crate) color: bool,
}

/// Calls `write` with the output that the options name, and completes the output.
///
/// # Errors
/// Errors of `write`, and failures to create, sync or rename the file.
pub(crate) fn write_result(
    global: &Global,
    write: impl FnOnce(&mut Sink<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // A file gets colour only with --color always.
    let always = global.color == Color::Always;
    let Some(path) = &global.output else {
        let auto = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let color = always || (global.color == Color::Auto && auto);
        let mut stdout = BufWriter::new(io::stdout());
        write(&mut Sink { writer: &mut stdout, color })?;
        return stdout.flush().context("standard output");
    };
    write_file(path, always, write)
}

/// Calls `write` with the file at `path`, which is replaced atomically, or with the device or pipe
/// at `path`.
///
/// # Errors
/// Errors of `write`, and failures to create, sync or rename the file.
pub(crate) fn write_file(
    path: &Path,
    color: bool,
    write: impl FnOnce(&mut Sink<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match replaced(path) {
        Some(target) => write_atomically(&target, path, color, write),
        None => write_directly(path, color, write),
    }
}

/// The regular file that a write to `path` replaces or creates, after symbolic links are resolved;
/// `None` for a device or pipe, which must not be replaced.
fn replaced(path: &Path) -> Option<PathBuf> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match std::fs::metadata(&target) {
        Ok(metadata) if !metadata.is_file() => None,
        _ => Some(target),
    }
}

fn write_atomically(
    target: &Path,
    path: &Path,
    color: bool,
    write: impl FnOnce(&mut Sink<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = temporary_file(directory).map_err(|error| cannot_write(path, &error))?;
    let mut buffered = BufWriter::new(file);
    write(&mut Sink { writer: &mut buffered, color })?;
    let file = buffered.into_inner().map_err(|error| cannot_write(path, error.error()))?;
    if let Ok(existing) = std::fs::metadata(target) {
        // The content is replaced, not the mode; if the mode cannot be set, the umask applies.
        let _ = file.as_file().set_permissions(existing.permissions());
    }
    file.as_file().sync_all().map_err(|error| cannot_write(path, &error))?;
    file.persist(target).map_err(|error| cannot_write(path, &error.error))?;
    Ok(())
}

fn temporary_file(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".jlctl-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The mode of any file that a program creates; the umask applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

fn write_directly(
    path: &Path,
    color: bool,
    write: impl FnOnce(&mut Sink<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let file =
        File::options().write(true).open(path).map_err(|error| cannot_write(path, &error))?;
    let mut buffered = BufWriter::new(file);
    write(&mut Sink { writer: &mut buffered, color })?;
    buffered.flush().map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    failure(Kind::System, format!("{}: cannot write: {error}", path.display()))
}
