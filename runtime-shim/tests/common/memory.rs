//! The memory of this process, as /proc reports it.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::ops::Range;
use std::slice;

/// A line of /proc/self/maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) range: Range<usize>,
    /// `rwxp`.
    pub(crate) permissions: String,
    /// A path, or a name in brackets; may be empty.
    pub(crate) name: String,
}

impl Mapping {
    fn of(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let permissions = words.next()?.to_owned();
        let name = words.nth(3).unwrap_or_default().to_owned();
        Some(Self { range: address(start)?..address(end)?, permissions, name })
    }

    /// Whether the mapping is readable and executable, and not the kernel's (`[vdso]` and others).
    pub(crate) fn is_code(&self) -> bool {
        self.has('r') && self.has('x') && !self.name.starts_with("[v")
    }

    fn has(&self, right: char) -> bool {
        self.permissions.contains(right)
    }
}

/// All mappings.
pub(crate) fn mappings() -> Vec<Mapping> {
    let text = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    text.lines().map(|line| Mapping::of(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// The mappings of code.
pub(crate) fn code() -> Vec<Mapping> {
    mappings().into_iter().filter(Mapping::is_code).collect()
}

/// The mappings that are writable and executable.
pub(crate) fn writable_code() -> Vec<Mapping> {
    mappings().into_iter().filter(|mapping| mapping.has('w') && mapping.has('x')).collect()
}

/// A hash of all code of this process.
pub(crate) fn sum_of_code() -> u64 {
    let mut hasher = DefaultHasher::new();
    for mapping in code() {
        let start = std::ptr::with_exposed_provenance::<u8>(mapping.range.start);
        // SAFETY: the mapping is readable; callers do not unmap it at the same time.
        hasher.write(unsafe { slice::from_raw_parts(start, mapping.range.len()) });
    }
    hasher.finish()
}

/// The private writable memory in bytes, as the kernel counts it for RLIMIT_DATA.
pub(crate) fn data_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = text.lines().find_map(|line| line.strip_prefix("VmData:")).expect("a sum");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kilobytes << 10
}

/// The size of a page in bytes.
pub(crate) fn page() -> usize {
    // SAFETY: the argument is a name that sysconf knows.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    size.try_into().expect("positive")
}
