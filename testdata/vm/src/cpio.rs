//! Writes cpio archives of the format `newc`, which the kernel unpacks into its initial
//! file system.
//!
//! A member is a header of 13 numbers, a name, bytes and padding. The kernel needs directories,
//! a device and files. The format is that of the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst` (6.12).

use crate::VmError;

/// File types: directory, character device, file; and permissions for all users (`stat(2)`).
const DIRECTORY: u32 = 0o04_0755;
const CHARACTER_DEVICE: u32 = 0o02_0600;
const EXECUTABLE: u32 = 0o10_0755;

/// An archive that grows member by member.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    /// Inode number of the last member: members with equal numbers are hard links.
    inode: u32,
}

impl Archive {
    /// Adds a directory; the directories of a member precede it.
    pub(super) fn directory(&mut self, path: &str) -> Result<(), VmError> {
        self.member(path, DIRECTORY, (0, 0), &[])
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) -> Result<(), VmError> {
        self.member(path, CHARACTER_DEVICE, (major, minor), &[])
    }

    /// Adds a file, readable and executable.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> Result<(), VmError> {
        self.member(path, EXECUTABLE, (0, 0), content)
    }

    /// The archive with its trailer.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, VmError> {
        self.member("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.bytes)
    }

    fn member(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> Result<(), VmError> {
        let path = path.trim_start_matches('/');
        let size = |length: usize| {
            u32::try_from(length).map_err(|_| VmError::TooLarge { path: path.to_owned() })
        };
        self.inode += 1;
        self.bytes.extend(b"070701");
        let [owner, group, links, modified, major, minor, checksum] = [0, 0, 1, 0, 0, 0, 0];
        for number in [
            self.inode,
            mode,
            owner,
            group,
            links,
            modified,
            size(content.len())?,
            major,
            minor,
            device.0,
            device.1,
            size(path.len() + 1)?,
            checksum,
        ] {
            self.bytes.extend(format!("{number:08X}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The layout of `cpio -o -H newc` of GNU cpio 2.13, except for the fields that depend on
    // its disk (inode, links of a directory, time, device) and its final padding.
    #[test]
    fn an_archive_has_the_layout_of_gnu_cpio() {
        let mut archive = Archive::default();
        archive.directory("/dev").expect("it fits");
        archive.device("dev/console", 5, 1).expect("it fits");
        archive.file("/f", b"hello").expect("it fits");
        let expected = [
            "07070100000001",
            "000041ED0000000000000000000000010000000000000000",
            "000000000000000000000000000000000000000400000000dev\0\0\0",
            "07070100000002",
            "000021800000000000000000000000010000000000000000",
            "000000000000000000000005000000010000000C00000000dev/console\0\0\0",
            "07070100000003",
            "000081ED0000000000000000000000010000000000000005",
            "000000000000000000000000000000000000000200000000f\0hello\0\0\0",
            "07070100000004",
            "000000000000000000000000000000010000000000000000",
            "000000000000000000000000000000000000000B00000000TRAILER!!!\0\0\0\0",
        ]
        .concat();
        let bytes = archive.finish().expect("it fits");
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }
}
