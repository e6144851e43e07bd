//! Many threads and many sites: 64 threads execute 4,096 sites, and threads start and end, while
//! keys are flipped.

use crate::common::emulator::rounds;
use crate::common::memory::writable_code;
use crate::common::over::Over;
use crate::common::refetch::refetch;
use crate::common::rerun::{alone, test_path};
use crate::common::sites::{assert_follow, sites_of};
use jlctl_shim::{Batch, define_static_key_false, define_static_key_true, report};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

define_static_key_false!(static MANY);

/// One of 4,096 sites: returns `N`, or `!N` while the key is on.
#[inline(never)]
fn site<const N: usize>() -> usize {
    if static_branch_unlikely!(MANY) { !N } else { N }
}

/// Stores a function in each element of a table, by the four octal digits of its index.
macro_rules! digits {
    ($at:expr; $table:ident) => {
        digits!(@ $at, 512, $table, { digits_of_64 });
    };
    (@ $at:expr, $step:expr, $table:ident, { $next:ident }) => {
        $next!($at, $table);
        $next!($at + $step, $table);
        $next!($at + 2 * $step, $table);
        $next!($at + 3 * $step, $table);
        $next!($at + 4 * $step, $table);
        $next!($at + 5 * $step, $table);
        $next!($at + 6 * $step, $table);
        $next!($at + 7 * $step, $table);
    };
}
macro_rules! digits_of_64 {
    ($at:expr, $table:ident) => {
        digits!(@ $at, 64, $table, { digits_of_8 });
    };
}
macro_rules! digits_of_8 {
    ($at:expr, $table:ident) => {
        digits!(@ $at, 8, $table, { digits_of_1 });
    };
}
macro_rules! digits_of_1 {
    ($at:expr, $table:ident) => {
        digits!(@ $at, 1, $table, { put });
    };
}
macro_rules! put {
    ($at:expr, $table:ident) => {
        $table[$at] = site::<{ $at }>;
    };
}

const COUNT: usize = 4_096;

static SITES: [fn() -> usize; COUNT] = {
    let mut table: [fn() -> usize; COUNT] = [site::<0>; COUNT];
    digits!(0; table);
    table
};

#[test]
fn all_sites_are_in_the_table() {
    alone(test_path!(), || {
        let mut sites: Vec<usize> = sites_of(&MANY).iter().map(|site| site.code).collect();
        sites.sort_unstable();
        sites.dedup();
        assert_eq!(sites.len(), COUNT);
        for (is_on, applied) in [(true, MANY.enable().unwrap()), (false, MANY.disable().unwrap())] {
            assert_eq!(applied.sites, COUNT, "{is_on}");
        }
        assert_follow(&MANY);
        assert!(SITES.iter().enumerate().all(|(index, site)| site() == index));
    });
}

/// During flips each execution takes one of the two sides.  After a flip has returned, all sites in
/// all threads take the side of the new state.
#[test]
fn many_threads_execute_many_sites() {
    alone(test_path!(), || {
        let (threads, rounds) = (rounds(64, 16), rounds(10, 1));
        let is_over = AtomicBool::new(false);
        let executed: [AtomicU64; 2] = Default::default();
        let spin = |first: usize| {
            let (mut at, mut counts) = (first, [0; 2]);
            while !is_over.load(Ordering::Acquire) {
                at = (at + 1) % COUNT;
                match SITES[at]() {
                    value if value == at => counts[0] += 1,
                    value if value == !at => counts[1] += 1,
                    value => panic!("{value:#x} of {at}"),
                }
            }
            for (all, own) in executed.iter().zip(counts) {
                all.fetch_add(own, Ordering::Relaxed);
            }
            // The last flip had returned when the flag was set.
            (0..COUNT).filter(|index| SITES[*index]() != !index).count()
        };
        thread::scope(|scope| {
            let over = Over(&is_over);
            let start = |thread| scope.spawn(move || spin(thread * (COUNT / threads)));
            let threads: Vec<_> = (0..threads).map(start).collect();
            for _ in 0..rounds {
                assert_eq!(MANY.enable().unwrap().sites, COUNT);
                thread::yield_now();
                assert_eq!(MANY.disable().unwrap().sites, COUNT);
                thread::yield_now();
            }
            MANY.enable().unwrap();
            refetch(&[&MANY]);
            drop(over);
            let stale: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(stale, 0, "after the last flip");
        });
        let executed = executed.map(AtomicU64::into_inner);
        assert!(executed.iter().all(|count| *count > 1_000), "both sides: {executed:?}");
        assert_follow(&MANY);
        MANY.disable().unwrap();
        assert_follow(&MANY);
        refetch(&[&MANY]);
        assert_eq!(writable_code(), []);
    });
}

define_static_key_false!(static KEY);
define_static_key_true!(static INVERSE);

/// Threads that start or end during the final synchronisation.
#[test]
fn threads_start_and_end() {
    alone(test_path!(), || {
        let (is_over, threads) = (AtomicBool::new(false), AtomicUsize::new(0));
        let wanted = rounds(2_000, 100);
        /// Executes sites of both keys.
        fn visit() {
            for _ in 0..20 {
                let sides = [
                    static_branch_unlikely!(KEY),
                    static_branch_likely!(KEY),
                    static_branch_unlikely!(INVERSE),
                    static_branch_likely!(INVERSE),
                ];
                black_box(sides);
            }
        }
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        thread::spawn(visit).join().unwrap();
                        threads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let over = Over(&is_over);
            let (since, mut flips) = (Instant::now(), 0);
            while threads.load(Ordering::Relaxed) < wanted {
                assert!(since.elapsed() < Duration::from_secs(120), "{threads:?} threads");
                Batch::new().enable(&KEY).disable(&INVERSE).apply().unwrap();
                Batch::new().disable(&KEY).enable(&INVERSE).apply().unwrap();
                flips += 2;
            }
            drop(over);
            assert!(flips > 20, "{flips} flips");
        });
        for key in [&*KEY, &*INVERSE] {
            assert_follow(key);
        }
        assert_eq!(writable_code(), []);
        let counts = report().unwrap();
        assert_eq!((counts.open_pages, counts.uncovered, counts.failed_batches), (0, 0, 0));
    });
}

/// A thread that starts after a flip has returned executes the new code.
#[test]
fn a_new_thread_takes_the_new_side() {
    alone(test_path!(), || {
        let rounds = rounds(1_000, 50);
        for round in 0..rounds {
            let is_on = round % 2 == 0;
            if is_on { KEY.enable() } else { KEY.disable() }.unwrap();
            refetch(&[&KEY]);
            let sides =
                thread::spawn(|| [static_branch_unlikely!(KEY), static_branch_likely!(KEY)]);
            assert_eq!(sides.join().unwrap(), [is_on; 2], "round {round}");
        }
        assert_follow(&KEY);
    });
}
