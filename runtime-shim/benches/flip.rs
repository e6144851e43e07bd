//! The time of a flip while threads run, compared with the crate static-keys, which must not flip
//! while threads run and is measured without threads.
//!
//! `cargo bench -p jlctl-shim --bench flip`; the figures are in `testdata/BENCH.md`.
#![allow(unsafe_code, reason = "the peer's interface")]

mod sites;

use criterion::{Criterion, criterion_group, criterion_main};
use jlctl_shim::{Batch, Key, Op};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

/// Runs `work` while `threads` threads execute `sites` in turn.
fn under_load(threads: usize, sites: &'static [fn() -> usize], work: impl FnOnce()) {
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Ordering::Relaxed);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !STOP.load(Ordering::Relaxed) {
                    for site in sites {
                        std::hint::black_box(site());
                    }
                }
            });
        }
        work();
        STOP.store(true, Ordering::Relaxed);
    });
}

fn flips(c: &mut Criterion) {
    // No other thread runs yet, as the peer requires.
    static_keys::global_init();
    assert!(jlctl_shim::sync_level().is_ok_and(jlctl_shim::SyncLevel::is_strict));
    let ours = |key: &'static jlctl_shim::Key| {
        key.enable().expect("the key is flipped");
        key.disable().expect("the key is flipped");
    };

    let mut group = c.benchmark_group("a key of 33 sites, on and off");
    group.bench_function("static-keys, no other thread", |b| {
        // SAFETY: no other thread runs.
        b.iter(|| unsafe { sites::flip_peers_33() });
    });
    assert_eq!(sites::peers_33::all().len(), sites::ours_33::all().len());
    group.bench_function("jlctl, no other thread", |b| b.iter(|| ours(&sites::OURS_33)));
    for threads in [1, 4] {
        under_load(threads, sites::ours_33::all(), || {
            let name = format!("jlctl, other threads: {threads}");
            group.bench_function(name, |b| b.iter(|| ours(&sites::OURS_33)));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("a key of 1000 sites on 1000 pages, on and off");
    group.sample_size(20);
    group.bench_function("static-keys, no other thread", |b| {
        // SAFETY: no other thread runs.
        b.iter(|| unsafe { sites::flip_peers_spread() });
    });
    assert_eq!(sites::peers_spread::all().len(), sites::ours_spread::all().len());
    group.bench_function("jlctl, no other thread", |b| b.iter(|| ours(&sites::OURS_SPREAD)));
    under_load(1, sites::ours_spread::all(), || {
        group.bench_function("jlctl, other threads: 1", |b| b.iter(|| ours(&sites::OURS_SPREAD)));
    });
    group.finish();
}

/// The cost of a branch whose key is off.
fn branches(c: &mut Criterion) {
    static FLAG: AtomicI32 = AtomicI32::new(0);
    #[inline(never)]
    fn none(value: usize) -> usize {
        value + 1
    }
    #[inline(never)]
    fn site(value: usize) -> usize {
        if jlctl_shim::static_branch_unlikely!(sites::OURS_OFF) { value * 3 } else { value + 1 }
    }
    #[inline(never)]
    fn flag(value: usize) -> usize {
        if FLAG.load(Ordering::Relaxed) != 0 { value * 3 } else { value + 1 }
    }
    // Without a store the compiler would know the result of the load.
    FLAG.store(std::hint::black_box(0), Ordering::Relaxed);
    let mut group = c.benchmark_group("1000 calls with a branch that is off");
    for (name, call) in
        [("none", none as fn(usize) -> usize), ("static key", site), ("relaxed atomic", flag)]
    {
        group.bench_function(name, |b| {
            b.iter(|| (0..1000).fold(0, |value, _| std::hint::black_box(call)(value)));
        });
    }
    group.finish();
}

/// Many keys without sites in one batch: the cost of a batch for each key.
fn keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("a batch of keys without sites, on and off");
    group.sample_size(10);
    for count in [1, 100, 1_000, 10_000] {
        let keys: &'static [Key] = Box::leak((0..count).map(|_| Key::new(false)).collect());
        let apply = |op: Op| {
            let mut batch = Batch::new();
            keys.iter().for_each(|key| batch.push(key, op));
            batch.apply().expect("counts are changed");
        };
        group.bench_function(format!("keys: {count}"), |b| {
            b.iter(|| (apply(Op::Enable), apply(Op::Disable)));
        });
    }
    group.finish();
}

criterion_group!(benches, flips, branches, keys);
criterion_main!(benches);
