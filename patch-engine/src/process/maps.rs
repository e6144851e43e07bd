//! Mappings of files in a process: /proc/PID/maps (proc_pid_maps(5)).

use super::access::refused;
use super::error::ProcessError;
use std::fs;

/// One mapping of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address, at run time.
    pub start: u64,
    /// First address after the mapping, at run time.
    pub end: u64,
    /// Offset of the mapping in the file, in bytes.
    pub offset: u64,
    /// Whether the mapping is executable.
    pub is_executable: bool,
    /// Device of the file, as the kernel prints it.
    pub device: String,
    /// Inode of the file.
    pub inode: u64,
    /// Path of the file in the process's own file system, without ` (deleted)`.
    pub path: String,
    /// Whether the file was removed, or another file has its name.
    pub is_deleted: bool,
}

impl Mapping {
    /// Whether both mappings are of the same file.
    #[must_use]
    pub fn is_of_file(&self, other: &Self) -> bool {
        (&self.device, self.inode) == (&other.device, other.inode)
    }
}

/// The mappings of files in process `pid`, by address.
///
/// # Errors
/// If there is no such process, or access to it is denied.
pub fn mappings(pid: i32) -> Result<Vec<Mapping>, ProcessError> {
    let text = fs::read(format!("/proc/{pid}/maps"))
        .map_err(|error| refused(pid, "read its mappings", error))?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(parse).collect())
}

/// A line of the file; `None` for memory that is no file's.
fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let (mode, offset) = (fields.next()?, fields.next()?);
    let (device, inode) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
    let path = fields.next()?.trim_start();
    if inode == 0 || path.is_empty() {
        return None;
    }
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let kept = path.strip_suffix(" (deleted)");
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        is_executable: mode.as_bytes().get(2) == Some(&b'x'),
        device,
        inode,
        path: kept.unwrap_or(path).to_owned(),
        is_deleted: kept.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed() {
        let line = "7f00-7f80 r-xp 00001000 fe:00 12345                      /usr/lib/a b.so";
        let mapping = parse(line).unwrap();
        assert_eq!((mapping.start, mapping.end, mapping.offset), (0x7f00, 0x7f80, 0x1000));
        assert_eq!((mapping.path.as_str(), mapping.inode), ("/usr/lib/a b.so", 12345));
        assert!(mapping.is_executable && !mapping.is_deleted);
        let gone = parse("0-1 rw-p 0 fe:00 7   /tmp/x (deleted)").unwrap();
        assert_eq!((gone.path.as_str(), gone.is_deleted), ("/tmp/x", true));
        for line in ["", "7f00-7f80 rw-p 00000000 00:00 0 ", "1-2 r-xp 0 00:00 0 [vdso]", "x"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn this_process_has_its_program_mapped() {
        let own = mappings(std::process::id().cast_signed()).unwrap();
        let exe = std::env::current_exe().unwrap();
        let is_exe = |mapping: &Mapping| exe == std::path::Path::new(&mapping.path);
        assert!(own.iter().any(|mapping| mapping.is_executable && is_exe(mapping)));
        assert!(matches!(mappings(i32::MAX), Err(ProcessError::Gone { .. })));
    }
}
