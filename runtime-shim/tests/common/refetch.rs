//! What an emulated machine needs where threads have executed sites while they were patched.
//!
//! Its CPUs share translations of code. One that was begun before another CPU's store, and
//! finished after it, is kept although it is of the old code (seen with QEMU 7.2 and four
//! CPUs, and then for every second execution; the bytes in memory are the new ones). No
//! barrier of the guest's ends that, and another store to the code does: a flip has returned
//! when all CPUs have answered membarrier's interrupt, which they do between translations, so
//! that none is under way any more that was begun before.

use super::emulator::is_machine_emulated;
use super::memory::page;
use super::sites::{SITE_BYTES, assert_follow, sites_of};
use jlctl_shim::Key;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::{ptr, slice};

/// After a flip of `keys`: has an emulated machine translate their sites anew. Does nothing on
/// others.
///
/// What is stored is what is there, and before that it is held against the keys: the sites
/// have to be right in memory by the flip alone.
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
        memory.write_all_at(bytes, first as u64).expect("it is mapped");
    }
}

/// Code of this program, which nobody else flips at the same time.
fn bytes(start: usize, len: usize) -> &'static [u8] {
    // SAFETY: both ends are in one page of this program's code.
    unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(start), len) }
}
