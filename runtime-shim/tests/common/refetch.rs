//! A workaround for emulated machines on which threads execute sites while they are patched.
//!
//! The CPUs of the emulator share translations of code.  A translation that began before another
//! CPU's store and ended after it is kept, although it is a translation of the old code (seen with
//! QEMU 7.2 and four CPUs, for every second execution; memory contains the new bytes).  No barrier
//! of the guest discards it, but another store to the code does.  When a flip has returned, all
//! CPUs have answered membarrier's interrupt, which they do between translations, so that no
//! translation that began before the flip is still in progress.

use super::emulator::is_machine_emulated;
use super::memory::page;
use super::sites::{SITE_BYTES, assert_follow, sites_of};
use jlctl_shim::Key;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::{ptr, slice};

/// Makes an emulated machine translate the sites of `keys` again after a flip.  Does nothing on
/// other machines.
///
/// It stores the bytes that memory contains, after it has checked them against the keys: the flip
/// alone must have made the sites correct.
pub(crate) fn refetch(keys: &[&Key]) {
    if !is_machine_emulated() {
        return;
    }
    keys.iter().for_each(|key| assert_follow(key));
    let mut codes: Vec<usize> =
        keys.iter().flat_map(|key| sites_of(key)).map(|site| site.code).collect();
    codes.sort_unstable();
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").expect("/proc is mounted");
    for codes in codes.chunk_by(|one, next| one / page() == next / page()) {
        let (first, last) = (codes[0], codes[codes.len() - 1]);
        let bytes = bytes(first, last + SITE_BYTES - first);
        memory.write_all_at(bytes, first as u64).expect("the code is mapped");
    }
}

/// Code of this program, which no other thread flips at the same time.
fn bytes(start: usize, len: usize) -> &'static [u8] {
    // SAFETY: both ends are in one page of this program's code.
    unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(start), len) }
}
