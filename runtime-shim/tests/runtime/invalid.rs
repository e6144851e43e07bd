//! Invalid code, tables and keys: the error states the site and the reason, and nothing is
//! changed.

#![allow(unsafe_code, reason = "damage")]

use crate::common::arena::{Arena, Table, map, protect, write};
use crate::common::child::must_succeed;
use crate::common::emulator;
use crate::common::memory::page;
use crate::common::sites::{Site, bytes_at, resolve, sites_of};
use crate::common::snapshot::Snapshot;
use jlctl_shim::abi::{JumpLabelType, RelativeEntry};
use jlctl_shim::insn::{EncodeError, InsnBytes};
use jlctl_shim::{Batch, Errno, Error, Key, Object, Op, Uncovered, UncoveredPatch};
use jlctl_shim::{define_static_key_false, object, report, transform, uncovered};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use std::fs::OpenOptions;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::ptr;

const CODE: i32 = libc::PROT_READ | libc::PROT_EXEC;
const DATA: i32 = libc::PROT_READ | libc::PROT_WRITE;
const NOTHING: i32 = libc::PROT_NONE;

/// The breakpoint that a debugger writes to a site, the site with it, and the expected NOP.
#[cfg(target_arch = "x86_64")]
const BREAKPOINT: (&[u8], InsnBytes, InsnBytes) = (
    &[0xcc],
    InsnBytes::from_five([0xcc, 0x1f, 0x44, 0x00, 0x00]),
    InsnBytes::from_five([0x0f, 0x1f, 0x44, 0x00, 0x00]),
);
#[cfg(target_arch = "aarch64")]
const BREAKPOINT: (&[u8], InsnBytes, InsnBytes) = (
    &0xd420_0000u32.to_le_bytes(),
    InsnBytes::from_word(0xd420_0000),
    InsnBytes::from_word(0xd503_201f),
);
#[cfg(target_arch = "riscv64")]
const BREAKPOINT: (&[u8], InsnBytes, InsnBytes) =
    (&0x0010_0073u32.to_le_bytes(), InsnBytes::from_word(0x0010_0073), InsnBytes::from_word(0x13));

define_static_key_false!(static KEY);
define_static_key_false!(static OTHER);

/// Not inlined, so that each site exists once.
#[inline(never)]
fn sites() -> [bool; 4] {
    [
        static_branch_unlikely!(KEY),
        static_branch_unlikely!(KEY),
        static_branch_unlikely!(KEY),
        static_branch_likely!(OTHER),
    ]
}

/// Writes `bytes` at `code`, as something other than the runtime.
type Damage = fn(code: usize, bytes: &[u8]);

fn damage_in_place(code: usize, bytes: &[u8]) {
    let start = code & !(page() - 1);
    protect(start, page(), CODE | libc::PROT_WRITE);
    write(code, bytes);
    protect(start, page(), CODE);
}

fn damage_by_proc(code: usize, bytes: &[u8]) {
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    memory.write_all_at(bytes, code as u64).unwrap();
}

fn damaged(damage: Damage) {
    let found = sites_of(&KEY);
    assert_eq!(found.len(), 3);
    // The first batches allocate the memory that later ones use.
    Batch::new().enable(&KEY).enable(&OTHER).apply().unwrap();
    Batch::new().disable(&KEY).disable(&OTHER).apply().unwrap();
    for Site { code, key, .. } in found {
        let before = bytes_at(code);
        let (bytes, broken, nop) = BREAKPOINT;
        damage(code, bytes);
        let snapshot = Snapshot::take();
        let wanted = Error::UnexpectedCode { site: code, key, found: broken, expected: nop };
        assert_eq!(KEY.enable(), Err(wanted));
        assert_eq!(Batch::new().enable(&OTHER).enable(&KEY).apply(), Err(wanted));
        assert_eq!(Batch::new().enable(&KEY).enable(&OTHER).try_apply(), Err(wanted));
        assert_eq!((KEY.count(), OTHER.count()), (0, 0));
        snapshot.assert_unchanged(3);
        let text = wanted.to_string();
        assert!(
            text.contains(&format!("{code:#x}")) && text.contains(&broken.to_string()),
            "{text}"
        );
        damage(code, &before);
        assert_eq!(Batch::new().enable(&OTHER).enable(&KEY).apply().unwrap().sites, 4);
        assert_eq!(black_box(sites()), [true; 4]);
        Batch::new().disable(&KEY).disable(&OTHER).apply().unwrap();
        assert_eq!(black_box(sites()), [false; 4]);
    }
}

#[test]
fn other_code_at_a_site() {
    must_succeed(|| damaged(damage_in_place));
}

#[test]
fn a_breakpoint_written_through_proc_mem() {
    if !emulator::leaves_out("what /proc/self/mem writes is not seen") {
        must_succeed(|| damaged(damage_by_proc));
    }
}

/// Pages for a site at `code`, and for its table.
struct Craft {
    table: usize,
    code: usize,
    key: &'static Key,
}

impl Craft {
    fn new(protection: i32) -> Self {
        let table = map(page(), DATA);
        let code = map(3 * page(), protection);
        Self { table, code, key: Box::leak(Box::new(Key::new(false))) }
    }

    fn site(&self, code: usize, target: usize) -> Site {
        Site { code, target, key: ptr::from_ref(self.key).addr(), is_likely: false }
    }

    /// The error for a key with a valid site and `site`; asserts that nothing is changed.
    fn refused(&self, site: Site) -> Error {
        let good = Arena::of_key(self.key, 2, 64);
        let table = Table::new(self.table, &[site]);
        assert_eq!(table.registered, Ok(()));
        let snapshot = Snapshot::take();
        let error = self.key.enable().unwrap_err();
        assert_eq!(Batch::new().enable(&OTHER).with(self.key, Op::Increment).apply(), Err(error));
        snapshot.assert_unchanged(2);
        assert_eq!(transform::queue(table.entry(0), JumpLabelType::Jmp), Err(error));
        snapshot.assert_unchanged(2);
        assert_eq!((error.site(), self.key.count(), good.all_jump()), (Some(site.code), 0, false));
        drop(table);
        assert_eq!(self.key.enable().unwrap().sites, 2, "without the invalid site");
        error
    }
}

/// Code and target are each in range of the table, but not of each other.
#[test]
fn a_target_out_of_range() {
    must_succeed(|| {
        const GIB: usize = 1 << 30;
        let room = map(4 * GIB, NOTHING);
        let (code, table, target) = (room, room + 3 * GIB / 2, room + 3 * GIB);
        protect(table, page(), DATA);
        protect(code, page(), DATA);
        write(code, BREAKPOINT.2.as_slice());
        protect(code, page(), CODE);
        let craft = Craft { table, code, key: Box::leak(Box::new(Key::new(false))) };
        let error = craft.refused(craft.site(craft.code, target));
        let Error::Encode(EncodeError::OutOfRange { from, to, max, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!((from, to), (code as u64, target as u64));
        assert!(max < 3 << 30);
        assert_eq!(error.errno(), Errno(libc::ERANGE));
    });
}

#[test]
fn a_site_outside_code() {
    for (protection, what) in [
        (NOTHING, "no access"),
        (DATA, "data"),
        (libc::PROT_READ, "read-only data"),
        (libc::PROT_EXEC, "code that cannot be read"),
    ] {
        must_succeed(|| {
            let craft = Craft::new(protection);
            let site = craft.site(craft.code + 64, craft.code + 80);
            assert_eq!(
                craft.refused(site),
                Error::NotCode { site: site.code, key: site.key },
                "{what}"
            );
        });
    }
    must_succeed(|| {
        let craft = Craft::new(CODE);
        // SAFETY: nothing uses the pages.
        unsafe { libc::munmap(ptr::with_exposed_provenance_mut(craft.code), 3 * page()) };
        let site = craft.site(craft.code, craft.code + 16);
        assert_eq!(craft.refused(site), Error::NotCode { site: site.code, key: site.key });
    });
}

#[test]
fn a_site_that_one_store_cannot_write() {
    // Within a page, and across the end of a page.
    let offsets = if cfg!(target_arch = "x86_64") { [4, page() - 1] } else { [2, page() - 2] };
    for offset in offsets {
        must_succeed(|| {
            let craft = Craft::new(DATA);
            let code = craft.code + offset;
            write(code, BREAKPOINT.2.as_slice());
            protect(craft.code, 3 * page(), CODE);
            let error = craft.refused(craft.site(code, craft.code + 64));
            match error {
                Error::Alignment { site, unit: 8, .. } if cfg!(target_arch = "x86_64") => {
                    assert_eq!(site, code);
                }
                Error::Encode(
                    EncodeError::MisalignedSite { from, .. } | EncodeError::Misaligned { from, .. },
                ) if !cfg!(target_arch = "x86_64") => {
                    assert_eq!(from, code as u64);
                }
                error => panic!("{error}"),
            }
        });
    }
}

/// Two keys with one site, the result of identical-code folding.
#[test]
fn a_site_of_two_keys() {
    must_succeed(|| {
        let first = Arena::new(2, 64);
        let second: &'static Key = Box::leak(Box::new(Key::new(false)));
        let folded = Site { key: ptr::from_ref(second).addr(), ..first.sites[1] };
        let _table = Table::new(map(page(), DATA), &[folded]);
        let snapshot = Snapshot::take();
        for batch in [
            Batch::new().with(first.key, Op::Enable).with(second, Op::Enable),
            Batch::new().with(second, Op::Enable).with(first.key, Op::Increment),
        ] {
            let error = batch.apply().unwrap_err();
            let Error::Conflict { site, mut key, mut other } = error else { panic!("{error}") };
            if key == folded.key {
                (key, other) = (other, key);
            }
            assert_eq!((site, key, other), (folded.code, first.sites[1].key, folded.key));
        }
        snapshot.assert_unchanged(2);
        assert_eq!((first.key.count(), second.count()), (0, 0));
        // The second key finds the code of the first.
        first.key.enable().unwrap();
        let error = second.enable().unwrap_err();
        assert!(matches!(error, Error::UnexpectedCode { site, key, .. }
            if (site, key) == (folded.code, folded.key)));
    });
}

/// Two equal entries count as one site.
#[test]
fn a_duplicate_entry() {
    must_succeed(|| {
        let arena = Arena::new(3, 64);
        let _table = Table::new(map(page(), DATA), &arena.sites);
        assert_eq!(arena.key.enable().unwrap().sites, 3);
        assert!(arena.all_jump());
        assert_eq!(arena.key.disable().unwrap().sites, 3);
    });
}

#[test]
fn a_range_that_is_not_a_table() {
    must_succeed(|| {
        let (at, snapshot) = (map(page(), DATA), Snapshot::take());
        for (start, len) in
            [(0, 24), (0, 15), (4, 16), (8, 12), (1, 16), (32, 16usize.wrapping_neg())]
        {
            let start = ptr::with_exposed_provenance::<RelativeEntry>(at + start);
            let stop = start.cast::<u8>().wrapping_add(len).cast::<RelativeEntry>();
            let node: &'static Object = Box::leak(Box::default());
            // SAFETY: the node and the pages are never freed.
            let registered = unsafe { object::register(node, start, stop) };
            assert_eq!(registered, Err(Error::NotATable { start: start.addr(), len }));
        }
        snapshot.assert_unchanged(0);
    });
}

#[test]
fn a_key_in_a_read_only_page() {
    must_succeed(|| {
        let at = map(page(), DATA);
        let to = ptr::with_exposed_provenance_mut::<Key>(at);
        // SAFETY: the page is writable and never unmapped.
        unsafe { to.write(Key::new(false)) };
        // SAFETY: likewise; the key is initialised.
        let key: &'static Key = unsafe { &*to };
        let arena = Arena::of_key(key, 3, 64);
        protect(at, page(), libc::PROT_READ);
        let snapshot = Snapshot::take();
        let wanted = Error::KeyNotWritable { key: at, errno: Errno(libc::EFAULT) };
        for batch in [
            Batch::new().with(key, Op::Enable),
            Batch::new().enable(&OTHER).with(key, Op::Increment),
            Batch::new().with(key, Op::Increment).enable(&OTHER),
        ] {
            assert_eq!(batch.apply(), Err(wanted));
        }
        snapshot.assert_unchanged(3);
        assert_eq!((key.count(), OTHER.count(), arena.all_jump()), (0, 0, false));
        // An operation that does not change the count does not write it.
        assert_eq!(key.disable().unwrap().sites, 0);
        let batch = Batch::new().enable(&OTHER).with(key, Op::Enable).with(key, Op::Disable);
        assert_eq!(batch.apply().unwrap().sites, 1);
        protect(at, page(), DATA);
        assert_eq!(key.enable().unwrap().sites, 3);
    });
}

/// If a key was flipped before an object is loaded, the sites of the object are patched, or listed in
/// the report.
#[test]
fn an_object_loaded_after_a_flip() {
    must_succeed(|| {
        let key: &'static Key = Box::leak(Box::new(Key::new(false)));
        let early = Arena::of_key(key, 1, 64);
        key.enable().unwrap();
        let late = Arena::of_key(key, 3, 64);
        assert_eq!(late.table.registered, Ok(()));
        assert!(early.all_jump() && late.all_jump());
        assert_eq!(key.disable().unwrap().sites, 4);
        key.enable().unwrap();
        let craft = Craft { key, ..Craft::new(DATA) };
        let site = craft.site(craft.code, craft.code + 64);
        let before = report().unwrap();
        let table = Table::new(craft.table, &[site]);
        assert_eq!(table.registered, Err(Error::NotCode { site: site.code, key: site.key }));
        let mut listed = [UncoveredPatch { site: 0, key: 0, why: Uncovered::Queued }; 3];
        assert_eq!(
            (uncovered(&mut listed), report().unwrap().uncovered),
            (Ok(1), before.uncovered + 1)
        );
        let stale = UncoveredPatch { site: site.code, key: site.key, why: Uncovered::Stale };
        assert_eq!(listed[0], stale);
        // A synchronisation does not cover a site that was never written.
        transform::apply().unwrap();
        assert_eq!((uncovered(&mut listed), listed[0]), (Ok(1), stale));
        assert_eq!(resolve(table.entry(0)), site);
    });
}
