//! Code and tables created at run time: sites with locations and contents that no compiler
//! produces.

use super::memory::page;
use super::sites::Site;
use jlctl_shim::abi::RelativeEntry;
use jlctl_shim::object::{register, unregister};
use jlctl_shim::{Error, Key, Object};
use std::io;
use std::ptr;

/// `nop; return 0; target: return 1`, for a key that is off and an unlikely branch.
#[cfg(target_arch = "x86_64")]
const FUNCTION: [u8; 17] = [
    0x0f, 0x1f, 0x44, 0x00, 0x00, // nopl 0(%rax,%rax)
    0xb8, 0, 0, 0, 0,    // mov $0, %eax
    0xc3, // ret
    0xb8, 1, 0, 0, 0,    // mov $1, %eax
    0xc3, // ret
];
#[cfg(target_arch = "aarch64")]
const FUNCTION: [u8; 20] = [
    0x1f, 0x20, 0x03, 0xd5, // nop
    0x00, 0x00, 0x80, 0x52, // mov w0, #0
    0xc0, 0x03, 0x5f, 0xd6, // ret
    0x20, 0x00, 0x80, 0x52, // mov w0, #1
    0xc0, 0x03, 0x5f, 0xd6, // ret
];
#[cfg(target_arch = "riscv64")]
const FUNCTION: [u8; 20] = [
    0x13, 0x00, 0x00, 0x00, // nop
    0x13, 0x05, 0x00, 0x00, // li a0, 0
    0x67, 0x80, 0x00, 0x00, // ret
    0x13, 0x05, 0x10, 0x00, // li a0, 1
    0x67, 0x80, 0x00, 0x00, // ret
];
/// Offset of the target in a function.
const TARGET: usize = if cfg!(target_arch = "x86_64") { 11 } else { 12 };

/// Fresh pages, never unmapped.
pub(crate) fn map(len: usize, protection: i32) -> usize {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the kernel chooses the address, so that no mapping is replaced.
    let address = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
    assert_ne!(address, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
    address.expose_provenance()
}

/// Changes the protection of pages that [`map`] mapped.
pub(crate) fn protect(start: usize, len: usize, protection: i32) {
    // SAFETY: the pages belong to the test.
    let result =
        unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(start), len, protection) };
    assert_eq!(result, 0, "mprotect: {}", io::Error::last_os_error());
}

/// Copies `bytes` to `to`.
pub(crate) fn write(to: usize, bytes: &[u8]) {
    let to = ptr::with_exposed_provenance_mut::<u8>(to);
    // SAFETY: callers pass writable pages of their own.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
}

/// The entry for `site` that lies at `address`.
///
/// # Panics
/// If code or target are out of the range of an entry.
pub(crate) fn entry(address: usize, site: Site) -> RelativeEntry {
    let from = |to: usize, offset: usize| to.wrapping_sub(address + offset).cast_signed();
    let key = site.key | usize::from(site.is_likely);
    RelativeEntry {
        code: from(site.code, 0).try_into().expect("2 GiB"),
        target: from(site.target, 4).try_into().expect("2 GiB"),
        key: from(key, 8) as i64,
    }
}

/// A table at `at`, registered until it is dropped.
#[derive(Debug)]
pub(crate) struct Table {
    object: &'static Object,
    start: *const RelativeEntry,
    /// The result of the registration.
    pub(crate) registered: Result<(), Error>,
}

impl Table {
    /// Writes entries for `sites` to the pages at `at`, and registers them.
    pub(crate) fn new(at: usize, sites: &[Site]) -> Self {
        let start = ptr::with_exposed_provenance_mut::<RelativeEntry>(at);
        for (index, site) in sites.iter().enumerate() {
            let to = start.wrapping_add(index);
            // SAFETY: callers pass writable pages of their own.
            unsafe { to.write(entry(to.addr(), *site)) };
        }
        let object: &'static Object = Box::leak(Box::default());
        let (start, stop) = (start.cast_const(), start.wrapping_add(sites.len()).cast_const());
        // SAFETY: the pages are never unmapped, and each test knows the faults of its entries.
        let registered = unsafe { register(object, start, stop) };
        Self { object, start, registered }
    }

    /// The entry `index`.
    pub(crate) fn entry(&self, index: usize) -> &'static RelativeEntry {
        // SAFETY: tables are never unmapped; callers pass a valid index.
        unsafe { &*self.start.wrapping_add(index) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the node is leaked.
        unsafe { unregister(self.object) };
    }
}

/// Functions with one site each, and their table.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) key: &'static Key,
    pub(crate) sites: Vec<Site>,
    pub(crate) table: Table,
}

impl Arena {
    /// `count` sites, `stride` bytes apart, of a new key that is off.
    pub(crate) fn new(count: usize, stride: usize) -> Self {
        Self::of_key(Box::leak(Box::new(Key::new(false))), count, stride)
    }

    /// As [`new`](Self::new), for `key`, which is initially off.
    pub(crate) fn of_key(key: &'static Key, count: usize, stride: usize) -> Self {
        let whole = |len: usize| len.next_multiple_of(page());
        let table_len = whole(count * RelativeEntry::SIZE);
        let code_len = whole((count - 1) * stride + FUNCTION.len());
        let table = map(table_len + code_len, libc::PROT_READ | libc::PROT_WRITE);
        let sites: Vec<Site> = (0..count)
            .map(|index| table + table_len + index * stride)
            .map(|code| Site {
                code,
                target: code + TARGET,
                key: ptr::from_ref(key).addr(),
                is_likely: false,
            })
            .collect();
        for site in &sites {
            write(site.code, &FUNCTION);
        }
        protect(table + table_len, code_len, libc::PROT_READ | libc::PROT_EXEC);
        sites.iter().for_each(|site| fetch_anew(site.code));
        Self { key, table: Table::new(table, &sites), sites }
    }

    /// Executes function `index`.  Returns whether its site jumped.
    pub(crate) fn jumps(&self, index: usize) -> bool {
        call(self.sites[index].code)
    }

    /// Whether all functions jump.
    ///
    /// # Panics
    /// If some jump and others do not.
    pub(crate) fn all_jump(&self) -> bool {
        let count = (0..self.sites.len()).filter(|index| self.jumps(*index)).count();
        assert!(count == 0 || count == self.sites.len(), "{count} of {} jump", self.sites.len());
        count != 0
    }
}

/// Executes a function of an [`Arena`].  Returns whether its site jumped.
pub(crate) fn call(code: usize) -> bool {
    let code = ptr::with_exposed_provenance::<()>(code);
    // SAFETY: `FUNCTION` has this type, and it is executable.
    let function = unsafe { std::mem::transmute::<*const (), extern "C" fn() -> u32>(code) };
    function() != 0
}

/// Makes all PEs fetch the instructions just written at `at`.  They are in newly mapped pages, so
/// that no PE has fetched others.
#[cfg(target_arch = "aarch64")]
fn fetch_anew(at: usize) {
    // Functions are shorter than a line; each may lie in two.
    for line in [at, at + FUNCTION.len() - 1] {
        // SAFETY: the line is mapped, and Linux permits these at EL0.
        unsafe {
            std::arch::asm!(
                "dc cvau, {0}", "dsb ish", "ic ivau, {0}", "dsb ish", "isb",
                in(reg) line, options(nostack, preserves_flags)
            );
        }
    }
}

/// Other harts fetch from newly mapped pages after the kernel has mapped them.
#[cfg(target_arch = "riscv64")]
fn fetch_anew(_at: usize) {
    // SAFETY: a barrier.
    unsafe { std::arch::asm!("fence rw, rw", "fence.i", options(nostack, preserves_flags)) };
}

/// Instruction fetch is coherent with stores.
#[cfg(target_arch = "x86_64")]
fn fetch_anew(_at: usize) {}
