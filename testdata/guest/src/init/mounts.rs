//! The file systems that programs expect.

use rustix::mount::{MountFlags, mount};
use std::fs;
use std::io;

/// Type and place of each, in order.
const FILE_SYSTEMS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")];

/// Mounts all of them.
pub(super) fn mount_all() -> io::Result<()> {
    for (kind, place) in FILE_SYSTEMS {
        let wrong = |error: io::Error| io::Error::other(format!("cannot mount {place}: {error}"));
        fs::create_dir_all(place).map_err(wrong)?;
        mount(kind, place, kind, MountFlags::empty(), None).map_err(|error| wrong(error.into()))?;
    }
    Ok(())
}
