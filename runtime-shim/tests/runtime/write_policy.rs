//! Policies and limits that prevent writing code: the error states the first site and the policy,
//! protections are restored, and nothing is changed.

#![allow(unsafe_code, reason = "policies of child processes")]

use crate::common::arena::{Arena, map, protect};
use crate::common::child::{End, in_child, must_succeed};
use crate::common::emulator;
use crate::common::memory::{data_bytes, page, writable_code};
use crate::common::sites::Site;
use crate::common::snapshot::Snapshot;
use jlctl_shim::{
    Allowed, Applied, Batch, Errno, Error, Op, WritePolicy, allow, sync_level, transform,
};
use std::fs;
use std::io;
use std::sync::mpsc;
use std::thread;

const PROC_MEM: Allowed = Allowed { best_effort: false, proc_mem: true };

/// Sites that each need a window of their own.
fn far_apart(sites: usize) -> Arena {
    let arena = Arena::new(sites, 40 * page());
    // The first batches allocate the memory that later ones use.
    assert_eq!(arena.key.enable().unwrap().page_runs, sites);
    arena.key.disable().unwrap();
    arena
}

/// The error when the key of `arena` is enabled; asserts that nothing is changed.
fn refused(arena: &Arena) -> Error {
    let snapshot = Snapshot::take();
    let error = arena.key.enable().unwrap_err();
    snapshot.assert_unchanged(1);
    assert_eq!(writable_code(), []);
    assert_eq!((arena.key.count(), arena.all_jump()), (0, false));
    let text = error.to_string();
    assert!(text.contains(&format!("{:#x}", error.site().unwrap())), "{text}");
    error
}

fn protect_error(arena: &Arena, site: usize, errno: i32, policy: WritePolicy) -> Error {
    let site = arena.sites[site].code;
    let (start, len) = (site & !(page() - 1), page());
    Error::Protect { site, start, len, errno: Errno(errno), policy: Some(policy) }
}

/// prctl(2) PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN, as systemd does.
fn deny_write_execute() {
    const PR_SET_MDWE: i32 = 65;
    // SAFETY: no pointers.
    let result = unsafe { libc::prctl(PR_SET_MDWE, 1, 0, 0, 0) };
    assert_eq!(result, 0, "PR_SET_MDWE: {}", io::Error::last_os_error());
}

#[test]
fn memory_deny_write_execute() {
    if emulator::leaves_out("PR_SET_MDWE") {
        return;
    }
    must_succeed(|| {
        let arena = far_apart(3);
        deny_write_execute();
        assert_eq!(refused(&arena), protect_error(&arena, 0, libc::EACCES, WritePolicy::Mdwe));
        let wanted = Err(protect_error(&arena, 2, libc::EACCES, WritePolicy::Mdwe));
        let queued = transform::queue(arena.table.entry(2), jlctl_shim::abi::JumpLabelType::Jmp);
        assert_eq!(queued, wanted);
        assert_eq!(writable_code(), []);
    });
}

/// The program can allow writing through /proc/self/mem, for one batch or for the process.
#[test]
fn proc_mem_if_allowed() {
    if emulator::leaves_out("PR_SET_MDWE, /proc/self/mem") {
        return;
    }
    must_succeed(|| {
        let arena = far_apart(3);
        deny_write_execute();
        let snapshot = Snapshot::take();
        let written = Ok(Applied { sites: 3, page_runs: 0, sync: Some(sync_level().unwrap()) });
        let enable = Batch::new().with(arena.key, Op::Enable).allow(PROC_MEM);
        assert_eq!(enable.apply(), written);
        assert!(arena.all_jump() && arena.key.is_enabled());
        // The next batch is not allowed it.
        let error = arena.key.disable().unwrap_err();
        assert_eq!(error, protect_error(&arena, 0, libc::EACCES, WritePolicy::Mdwe));
        assert!(arena.all_jump() && arena.key.is_enabled());
        allow(PROC_MEM);
        assert_eq!(arena.key.disable(), written);
        assert!(!arena.all_jump() && !arena.key.is_enabled());
        allow(Allowed::default());
        assert_eq!(arena.key.enable(), Err(error));
        assert_ne!(Snapshot::take(), snapshot, "the counts have changed");
    });
}

/// On x86-64 the kernel copies five bytes one by one, so that another thread could execute half of a
/// patch.
#[test]
fn proc_mem_while_other_threads_run() {
    if emulator::leaves_out("PR_SET_MDWE, /proc/self/mem") {
        return;
    }
    must_succeed(|| {
        let arena = far_apart(2);
        deny_write_execute();
        let (end, ended) = mpsc::channel::<()>();
        let other = thread::spawn(move || ended.recv());
        let batch = Batch::new().with(arena.key, Op::Enable).allow(PROC_MEM);
        if cfg!(target_arch = "x86_64") {
            let wanted = protect_error(&arena, 0, libc::EACCES, WritePolicy::Mdwe);
            assert_eq!(batch.apply(), Err(wanted));
            assert!(!arena.all_jump() && !arena.key.is_enabled());
        } else {
            assert_eq!(batch.apply().map(|applied| applied.page_runs), Ok(0));
            assert!(arena.all_jump() && arena.key.is_enabled());
        }
        drop(end);
        other.join().unwrap().unwrap_err();
        if cfg!(target_arch = "x86_64") {
            while thread_count() > 1 {
                thread::yield_now();
            }
            assert_eq!(batch.apply().map(|applied| applied.page_runs), Ok(0));
            assert!(arena.all_jump());
        }
    });
}

/// The number of threads; a joined thread may be counted for a moment.
fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn sealed_memory() {
    // Linux 6.10; the number is the same on all architectures.
    const SYS_MSEAL: libc::c_long = 462;
    let outcome = in_child(|| {
        let arena = far_apart(4);
        let start = arena.sites[2].code & !(page() - 1);
        // SAFETY: pages of the arena, which are never unmapped.
        let result = unsafe { libc::syscall(SYS_MSEAL, start, page(), 0) };
        if result != 0 {
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSYS), "mseal: {error}");
            return "left out: this kernel has no mseal".to_owned();
        }
        // Two windows are open when the third one is refused.
        assert_eq!(refused(&arena), protect_error(&arena, 2, libc::EPERM, WritePolicy::Sealed));
        String::new()
    });
    assert_eq!(outcome.end, End::Exited(0), "{}", outcome.message);
    println!("{}", outcome.message);
}

/// RLIMIT_DATA counts each page of code while it is writable.
#[test]
fn a_limit_on_data() {
    if emulator::leaves_out("RLIMIT_DATA") {
        return;
    }
    for windows in [0, 1, 3, 7] {
        must_succeed(|| {
            let arena = far_apart(8);
            // The heap may grow with it, and counts as data.
            let snapshot = Snapshot::take();
            let limit = data_bytes() + (windows * page()) as u64;
            let set = |limit| {
                let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
                // SAFETY: the structure is valid during the call.
                let result = unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) };
                assert_eq!(result, 0, "RLIMIT_DATA: {}", io::Error::last_os_error());
            };
            set(limit);
            let error = arena.key.enable().unwrap_err();
            set(libc::RLIM_INFINITY);
            snapshot.assert_unchanged(1);
            let wanted = protect_error(&arena, windows, libc::ENOMEM, WritePolicy::Limit);
            assert_eq!(error, wanted);
            assert_eq!((arena.key.count(), arena.all_jump()), (0, false));
            assert_eq!(arena.key.enable().unwrap().page_runs, 8);
            assert!(arena.all_jump());
        });
    }
}

/// vm.max_map_count: a window in the middle of a mapping adds two mappings.
#[test]
fn a_limit_on_mappings() {
    if emulator::leaves_out("vm.max_map_count") {
        return;
    }
    must_succeed(|| {
        let most = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
        let most: usize = most.trim().parse().unwrap();
        assert!(most < 1 << 20, "{most} mappings take too long");
        let arena = far_apart(8);
        let room = map(2 * most * page(), libc::PROT_NONE);
        let at = |index: usize| room + (2 * index + 1) * page();
        for windows in emulator::rounds([0, 3, 5].as_slice(), &[3]).iter().copied() {
            let snapshot = Snapshot::take();
            let mut made = 0;
            while try_protect(at(made), libc::PROT_READ) {
                made += 1;
            }
            // Each mapping that is merged again makes room for one window.  Until then not even the
            // allocator can map a page.
            (1..=windows).for_each(|index| protect(at(made - index), page(), libc::PROT_NONE));
            let error = arena.key.enable();
            protect(room, 2 * most * page(), libc::PROT_NONE);
            let error = error.unwrap_err();
            let is_it = |site: &Site| Some(site.code) == error.site();
            let failed = arena.sites.iter().position(is_it).unwrap();
            assert_eq!(error, protect_error(&arena, failed, libc::ENOMEM, WritePolicy::Limit));
            // One mapping may have been free, and the first window is at the edge of its mapping.
            assert!((windows..=windows + 1).contains(&failed), "{failed} of {windows}");
            snapshot.assert_unchanged(1);
            assert_eq!((arena.key.count(), arena.all_jump()), (0, false));
        }
        assert_eq!(arena.key.enable().unwrap().page_runs, 8);
        assert!(arena.all_jump());
    });
}

fn try_protect(start: usize, protection: i32) -> bool {
    let at = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: pages of the test, which nothing uses.
    unsafe { libc::mprotect(at, page(), protection) == 0 }
}
