//! The runtime without membarrier(2): it states the reason, is strict in a process with one thread,
//! and uses a weaker synchronisation only if that is allowed.
//!
//! Filters of system calls disable membarrier(2).  A filter that exists when a program starts
//! answers the registration; a filter that is installed later answers the final synchronisation.
#![cfg(not(target_arch = "riscv64"))] // riscv64 has a call of its own, and no membarrier.
#![allow(unsafe_code, reason = "filters, before a program starts")]

use crate::common::arena::Arena;
use crate::common::child::{End, in_child, must_succeed};
use crate::common::emulator;
use crate::common::filter::{Answer, filter_command, filter_membarrier};
use crate::common::memory::writable_code;
use crate::common::rerun::{must_run, rerun, role, test_path};
use crate::common::snapshot::Snapshot;
use jlctl_shim::{Allowed, Batch, Errno, Error, Method, Op, Refusal, SyncLevel};
use jlctl_shim::{
    Uncovered, UncoveredPatch, allow, forbid_membarrier, report, sync_level, uncovered,
};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::sync::mpsc;
use std::{fs, thread};

const SYNC_CORE: u32 = 1 << 5;
const REGISTER_SYNC_CORE: u32 = 1 << 6;
const SINGLE_THREAD: SyncLevel = SyncLevel::Strict(Method::SingleThread);
const GLOBAL: SyncLevel = SyncLevel::BestEffort(Method::GlobalMembarrier);
const BEST_EFFORT: Allowed = Allowed { best_effort: true, proc_mem: false };

/// Runs `body` while this process has two threads.  Before and after it has one.
fn with_another_thread<T>(body: impl FnOnce() -> T) -> T {
    assert_eq!(thread_count(), 1);
    let (end, ended) = mpsc::channel::<()>();
    let other = thread::spawn(move || ended.recv());
    let result = body();
    drop(end);
    other.join().unwrap().unwrap_err();
    // A joined thread may be in the list for a moment.
    while thread_count() > 1 {
        thread::yield_now();
    }
    result
}

fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Enables and disables the key; each flip uses `sync`.
fn flips_by(arena: &Arena, sync: SyncLevel) {
    for is_on in [true, false] {
        let applied = if is_on { arena.key.enable() } else { arena.key.disable() }.unwrap();
        assert_eq!((applied.sites, applied.sync), (arena.sites.len(), Some(sync)));
        assert_eq!((arena.key.is_enabled(), arena.all_jump()), (is_on, is_on));
    }
}

fn refuses(arena: &Arena, refusal: Refusal, allowed: Allowed) {
    let snapshot = Snapshot::take();
    let batch = Batch::new().with(arena.key, Op::Enable).allow(allowed);
    assert_eq!(batch.apply(), Err(Error::NoSync(refusal)));
    snapshot.assert_unchanged(1);
    assert_eq!((arena.key.count(), arena.all_jump()), (0, false));
}

/// A command whose process has a filter from its start.
fn filtered(mut command: Command, filter: fn()) -> Command {
    // SAFETY: between fork and exec, in a child with one thread.
    unsafe {
        command.pre_exec(move || {
            filter();
            Ok(())
        })
    };
    command
}

/// The name of a filter, the filter, the refusal that its answer to the registration causes, and
/// whether a weaker synchronisation is available.
type Case = (&'static str, fn(), Refusal, bool);

fn answers() -> [Case; 6] {
    [
        ("ENOSYS", || filter_membarrier(Answer::Errno(libc::ENOSYS)), Refusal::NoMembarrier, false),
        (
            "EPERM",
            || filter_membarrier(Answer::Errno(libc::EPERM)),
            Refusal::Denied(Errno(libc::EPERM)),
            false,
        ),
        (
            "EACCES",
            || filter_membarrier(Answer::Errno(libc::EACCES)),
            Refusal::Denied(Errno(libc::EACCES)),
            false,
        ),
        ("EINVAL", || filter_membarrier(Answer::Errno(libc::EINVAL)), Refusal::NoSyncCore, false),
        (
            "command EPERM",
            || filter_command(REGISTER_SYNC_CORE, Answer::Errno(libc::EPERM)),
            Refusal::Denied(Errno(libc::EPERM)),
            true,
        ),
        (
            "command EINVAL",
            || filter_command(REGISTER_SYNC_CORE, Answer::Errno(libc::EINVAL)),
            Refusal::NoSyncCore,
            true,
        ),
    ]
}

/// The behaviour of a process that was started with one of these filters.
fn without_membarrier(refusal: Refusal, has_global: bool) {
    let arena = Arena::new(3, 64);
    assert_eq!(sync_level(), Ok(SINGLE_THREAD));
    flips_by(&arena, SINGLE_THREAD);
    with_another_thread(|| {
        assert_eq!(sync_level(), Err(refusal));
        refuses(&arena, refusal, Allowed::default());
        refuses(&arena, refusal, Allowed { proc_mem: true, best_effort: false });
        if !has_global {
            refuses(&arena, refusal, BEST_EFFORT);
        }
    });
    assert_eq!(sync_level(), Ok(SINGLE_THREAD));
    flips_by(&arena, SINGLE_THREAD);
    if has_global {
        with_another_thread(|| best_effort(&arena, refusal));
        // The only thread has executed all written code.
        flips_by(&arena, SINGLE_THREAD);
        assert_eq!(report().unwrap().uncovered, 0);
    }
}

/// A weaker synchronisation is used if it is allowed, and is recorded in the report.
fn best_effort(arena: &Arena, refusal: Refusal) {
    let before = report().unwrap();
    let batch = Batch::new().with(arena.key, Op::Enable).allow(BEST_EFFORT);
    assert_eq!(batch.apply().unwrap().sync, Some(GLOBAL));
    assert!(arena.all_jump());
    let after = report().unwrap();
    assert_eq!(
        (after.best_effort_syncs, after.strict_syncs, after.uncovered),
        (before.best_effort_syncs + 1, before.strict_syncs, 3)
    );
    let mut listed = [UncoveredPatch { site: 0, key: 0, why: Uncovered::Stale }; 8];
    assert_eq!(uncovered(&mut listed), Ok(3));
    for (patch, site) in listed.iter().zip(&arena.sites) {
        let why = Uncovered::BestEffort;
        assert_eq!(*patch, UncoveredPatch { site: site.code, key: site.key, why });
    }
    // The next batch is allowed nothing, until the process allows it.
    assert_eq!(arena.key.disable(), Err(Error::NoSync(refusal)));
    assert!(arena.all_jump());
    allow(BEST_EFFORT);
    assert_eq!(sync_level(), Ok(GLOBAL));
    assert_eq!(arena.key.disable().unwrap().sync, Some(GLOBAL));
    allow(Allowed::default());
    assert_eq!(sync_level(), Err(refusal));
}

#[test]
fn each_refusal_is_distinguished() {
    if let Some(role) = role() {
        let answers = answers();
        let (_, _, refusal, has_global) = answers.iter().find(|(name, ..)| *name == role).unwrap();
        // The test runner has another thread.
        return must_succeed(|| without_membarrier(*refusal, *has_global));
    }
    if emulator::leaves_out("filters of system calls") {
        return;
    }
    for (name, filter, ..) in answers() {
        let command = rerun(test_path!(), name);
        must_run(&mut filtered(command, filter));
    }
}

/// `JLSHIM_BEST_EFFORT` in the environment allows a weaker synchronisation for the process.
#[test]
fn best_effort_by_the_environment() {
    if role().is_some() {
        return must_succeed(|| {
            let arena = Arena::new(3, 64);
            assert_eq!(sync_level(), Ok(SINGLE_THREAD), "a strict synchronisation is preferred");
            with_another_thread(|| {
                assert_eq!(sync_level(), Ok(GLOBAL));
                flips_by(&arena, GLOBAL);
            });
        });
    }
    if emulator::leaves_out("filters of system calls") {
        return;
    }
    let filter = || filter_command(REGISTER_SYNC_CORE, Answer::Errno(libc::EINVAL));
    for (value, has_effect) in [("1", true), ("0", false), ("", false), ("yes", false)] {
        let mut command = rerun(test_path!(), "");
        command.env("JLSHIM_BEST_EFFORT", value);
        let output = filtered(command, filter).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), has_effect, "{value}: {said}");
        assert_eq!(said.contains("Err(NoSyncCore)"), !has_effect, "{value}: {said}");
    }
}

/// The runtime cannot detect by trying a filter that kills a process for membarrier(2).
#[test]
fn membarrier_forbidden_by_the_environment() {
    if role().is_some() {
        return must_succeed(never_calls_membarrier);
    }
    if emulator::leaves_out("filters of system calls") {
        return;
    }
    let name = test_path!();
    let kill = || filter_membarrier(Answer::Kill);
    let mut command = filtered(rerun(name, ""), kill);
    must_run(command.env("JLSHIM_NO_MEMBARRIER", "1"));
    // The filter kills the process, and no other value has an effect.
    for value in [None, Some("0")] {
        let mut command = filtered(rerun(name, ""), kill);
        if let Some(value) = value {
            command.env("JLSHIM_NO_MEMBARRIER", value);
        }
        assert_eq!(command.output().unwrap().status.signal(), Some(libc::SIGSYS));
    }
}

fn never_calls_membarrier() {
    let arena = Arena::new(3, 64);
    flips_by(&arena, SINGLE_THREAD);
    with_another_thread(|| {
        assert_eq!(sync_level(), Err(Refusal::Forbidden));
        refuses(&arena, Refusal::Forbidden, Allowed::default());
        // The weaker synchronisation calls membarrier(2) too.
        refuses(&arena, Refusal::Forbidden, BEST_EFFORT);
    });
    flips_by(&arena, SINGLE_THREAD);
}

#[test]
fn membarrier_forbidden_by_the_program() {
    if emulator::leaves_out("filters of system calls") {
        return;
    }
    let outcome = in_child(|| {
        filter_membarrier(Answer::Kill);
        flips_by(&Arena::new(3, 64), SINGLE_THREAD);
        String::new()
    });
    assert_eq!(outcome.end, End::Signalled(libc::SIGSYS), "the filter kills");
    must_succeed(|| {
        forbid_membarrier();
        filter_membarrier(Answer::Kill);
        never_calls_membarrier();
    });
}

/// If membarrier(2) works at the start and fails later, the old code is written back, and the report
/// lists the sites whose new code may have been executed.
#[test]
fn a_failed_sync_is_rolled_back() {
    if emulator::leaves_out("filters of system calls") {
        return;
    }
    let filters: [(fn(), i32); 3] = [
        (|| filter_membarrier(Answer::Errno(libc::ENOSYS)), libc::ENOSYS),
        (|| filter_command(SYNC_CORE, Answer::Errno(libc::EPERM)), libc::EPERM),
        (|| filter_command(SYNC_CORE, Answer::Errno(libc::EINVAL)), libc::EINVAL),
    ];
    for (filter, errno) in filters {
        must_succeed(|| {
            let (arena, other) = (Arena::new(3, 64), Arena::new(2, 64));
            other.key.enable().unwrap();
            let before = report().unwrap();
            let sum = crate::common::memory::sum_of_code();
            filter();
            let batch = Batch::new().with(arena.key, Op::Enable).with(other.key, Op::Disable);
            assert_eq!(batch.apply(), Err(Error::SyncFailed(Errno(errno))));
            assert_eq!(crate::common::memory::sum_of_code(), sum, "the old code is written back");
            assert_eq!((arena.key.count(), other.key.count()), (0, 1));
            assert_eq!((arena.all_jump(), other.all_jump()), (false, true));
            assert_eq!(writable_code(), []);
            let mut wanted = before;
            wanted.failed_batches += 1;
            wanted.failed_syncs += 1;
            wanted.uncovered += 5;
            assert_eq!(report().unwrap(), wanted);
            let mut listed = [UncoveredPatch { site: 0, key: 0, why: Uncovered::Stale }; 8];
            assert_eq!(uncovered(&mut listed), Ok(5));
            assert!(listed[..5].iter().all(|patch| patch.why == Uncovered::SyncFailed));
            let mut sites: Vec<usize> = listed[..5].iter().map(|patch| patch.site).collect();
            sites.sort_unstable();
            let all = arena.sites.iter().chain(&other.sites);
            let mut wanted: Vec<usize> = all.map(|site| site.code).collect();
            wanted.sort_unstable();
            assert_eq!(sites, wanted);
        });
    }
}
