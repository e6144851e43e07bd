//! The file systems that programs expect.

use rustix::mount::{MountFlags, mount};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

/// Type and mount point of each, in order.
const FILE_SYSTEMS: [(&str, &str); 3] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")];

/// Mode of a directory for temporary files (`stat(2)`). The initial file system may already
/// have files of the host there.
const TEMPORARY: (&str, u32) = ("/tmp", 0o1777);

/// Mounts all file systems, and creates the directory for temporary files.
pub(super) fn mount_all() -> io::Result<()> {
    for (kind, mount_point) in FILE_SYSTEMS {
        let wrong =
            |error: io::Error| io::Error::other(format!("cannot mount {mount_point}: {error}"));
        fs::create_dir_all(mount_point).map_err(wrong)?;
        mount(kind, mount_point, kind, MountFlags::empty(), None)
            .map_err(|error| wrong(error.into()))?;
    }
    let (mount_point, mode) = TEMPORARY;
    fs::create_dir_all(mount_point)?;
    fs::set_permissions(mount_point, fs::Permissions::from_mode(mode))
}
