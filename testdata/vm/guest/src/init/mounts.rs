//! The file systems that programs expect.

use rustix::mount::{MountFlags, mount};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

/// Type and place of each, in order.
const FILE_SYSTEMS: [(&str, &str); 3] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")];

/// For everybody's files (`stat(2)`). The initial file system has room, and may have files of
/// the host there already.
const TEMPORARY: (&str, u32) = ("/tmp", 0o1777);

/// Mounts all of them, and makes the directory for temporary files.
pub(super) fn mount_all() -> io::Result<()> {
    for (kind, place) in FILE_SYSTEMS {
        let wrong = |error: io::Error| io::Error::other(format!("cannot mount {place}: {error}"));
        fs::create_dir_all(place).map_err(wrong)?;
        mount(kind, place, kind, MountFlags::empty(), None).map_err(|error| wrong(error.into()))?;
    }
    let (place, mode) = TEMPORARY;
    fs::create_dir_all(place)?;
    fs::set_permissions(place, fs::Permissions::from_mode(mode))
}
