//! Keys and batches: the code of sites, the counts of keys, and the results of batches.

#![allow(unsafe_code, reason = "keys with the maximum count")]

use crate::common::arena::Arena;
use crate::common::child::must_succeed;
use crate::common::emulator::rounds;
use crate::common::memory::page;
use crate::common::sites::{assert_follow, sites_of};
use jlctl_shim::abi::{KEY_TYPE_TRUE, StaticKey};
use jlctl_shim::{Applied, Batch, Error, Key, Method, Op, SyncLevel, TypedKey, report, sync_level};
use jlctl_shim::{define_static_key_false, define_static_key_true};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use std::hint::black_box;
use std::ptr;

/// The result of a batch that patches no site.
const NOTHING: Applied = Applied { sites: 0, page_runs: 0, sync: None };

fn address(key: &Key) -> usize {
    ptr::from_ref(key).addr()
}

/// A key with the maximum count.
fn full_key() -> &'static Key {
    let key = Box::leak(Box::new(StaticKey { enabled: i32::MAX, r#type: KEY_TYPE_TRUE }));
    // SAFETY: `Key` has this layout, and the memory is leaked.
    unsafe { &*ptr::from_mut(key).cast::<Key>() }
}

/// Executes a site for each of the eight cases of the truth table, and reads its bytes.
#[test]
fn every_site_takes_the_side_of_its_keys_state() {
    define_static_key_false!(static OFF);
    define_static_key_true!(static ON);
    type Case = (fn() -> bool, &'static Key, bool);
    let sites: [Case; 4] = [
        (|| static_branch_unlikely!(OFF), &OFF, false),
        (|| static_branch_likely!(OFF), &OFF, true),
        (|| static_branch_unlikely!(ON), &ON, false),
        (|| static_branch_likely!(ON), &ON, true),
    ];
    for key in [OFF.key(), ON.key()] {
        let mut senses: Vec<bool> = sites_of(key).iter().map(|site| site.is_likely).collect();
        senses.sort_unstable();
        assert_eq!(senses, [false, true], "a site of each sense");
    }
    let check = || {
        for (site, key, is_likely) in &sites {
            assert_eq!(black_box(site)(), key.is_enabled(), "likely: {is_likely}, {key:?}");
            assert_follow(key);
        }
    };
    assert!(!OFF.is_enabled() && ON.is_enabled());
    check();
    for round in 0..3 {
        let (off, on) = (OFF.enable().unwrap(), ON.disable().unwrap());
        assert_eq!((off.sites, on.sites), (2, 2), "round {round}");
        check();
        let (off, on) = (OFF.disable().unwrap(), ON.enable().unwrap());
        assert_eq!((off.sites, on.sites), (2, 2), "round {round}");
        check();
    }
    assert!(!OFF.is_initially_enabled() && ON.is_initially_enabled());
}

#[test]
fn counts_behave_like_the_kernels() {
    define_static_key_false!(static KEY);
    #[inline(never)]
    fn site() -> bool {
        static_branch_unlikely!(KEY)
    }
    let (sync, key) = (Some(sync_level().unwrap()), address(&KEY));
    let flipped = Ok(Applied { sites: 1, page_runs: 1, sync });
    for (op, result, count) in [
        (Op::Disable, Ok(NOTHING), 0),
        (Op::Decrement, Err(Error::Underflow { key }), 0),
        (Op::Enable, flipped, 1),
        (Op::Enable, Ok(NOTHING), 1),
        (Op::Increment, Ok(NOTHING), 2),
        (Op::Enable, Ok(NOTHING), 2),
        (Op::Disable, Err(Error::Counted { key, count: 2 }), 2),
        (Op::Decrement, Ok(NOTHING), 1),
        (Op::Decrement, flipped, 0),
        (Op::Decrement, Err(Error::Underflow { key }), 0),
        (Op::Increment, flipped, 1),
        (Op::Increment, Ok(NOTHING), 2),
        (Op::Decrement, Ok(NOTHING), 1),
        (Op::Disable, flipped, 0),
    ] {
        let done = match op {
            Op::Enable => KEY.enable(),
            Op::Disable => KEY.disable(),
            Op::Increment => KEY.increment(),
            Op::Decrement => KEY.decrement(),
        };
        assert_eq!((done, KEY.count()), (result, count), "{op:?}");
        assert_eq!(site(), count != 0);
        assert_follow(&KEY);
    }
}

#[test]
fn the_maximum_count_is_not_exceeded() {
    let key = full_key();
    assert_eq!(key.increment(), Err(Error::Overflow { key: address(key) }));
    assert_eq!(key.enable(), Ok(NOTHING));
    assert_eq!(key.disable(), Err(Error::Counted { key: address(key), count: i32::MAX }));
    assert_eq!(key.count(), i32::MAX);
    let (twice, once) = (Op::Increment, Op::Decrement);
    // Each operation starts from the count after the one before it.
    let batch = Batch::new().with(key, once).with(key, twice);
    assert_eq!((batch.apply(), key.count()), (Ok(NOTHING), i32::MAX));
    let batch = batch.with(key, twice);
    assert_eq!(
        (batch.apply(), key.count()),
        (Err(Error::Overflow { key: address(key) }), i32::MAX)
    );
}

#[test]
fn operations_on_one_key_apply_in_order() {
    define_static_key_false!(static KEY);
    #[inline(never)]
    fn site() -> bool {
        static_branch_unlikely!(KEY)
    }
    let key = address(&KEY);
    for (ops, result, count) in [
        (&[Op::Enable, Op::Increment, Op::Decrement][..], Ok(1), 1),
        (&[Op::Disable, Op::Enable], Ok(0), 1),
        (&[Op::Increment, Op::Disable], Err(Error::Counted { key, count: 2 }), 1),
        (&[Op::Decrement, Op::Decrement, Op::Increment], Err(Error::Underflow { key }), 1),
        (&[Op::Disable, Op::Increment, Op::Increment], Ok(0), 2),
        (&[Op::Decrement, Op::Disable, Op::Enable, Op::Disable], Ok(1), 0),
    ] {
        let batch = ops.iter().fold(Batch::new(), |batch, op| batch.with(&KEY, *op));
        let applied = batch.apply().map(|applied| applied.sites);
        assert_eq!((applied, KEY.count(), site()), (result, count, count != 0), "{ops:?}");
        assert_follow(&KEY);
    }
}

/// More keys than a batch stores inline.
#[test]
fn a_batch_of_many_keys() {
    let arenas: Vec<Arena> = (1..=40).map(|sites| Arena::new(sites, 64)).collect();
    let all = 40 * 41 / 2;
    for round in 0..3 {
        for (op, is_on) in [(Op::Enable, true), (Op::Disable, false)] {
            let mut batch = Batch::new();
            arenas.iter().for_each(|arena| batch.push(arena.key, op));
            assert_eq!(batch.apply().unwrap().sites, all, "{op:?} in round {round}");
            for arena in &arenas {
                assert_eq!((arena.key.is_enabled(), arena.all_jump()), (is_on, is_on));
            }
            assert_eq!(batch.apply(), Ok(NOTHING));
        }
    }
}

/// Each key is found among all others, and the operations on one key apply in order.
#[test]
fn a_batch_of_ten_thousand_keys() {
    const KEYS: usize = 10_000;
    let keys: &'static [Key] = Box::leak((0..KEYS).map(|_| Key::new(false)).collect());
    let arena = Arena::of_key(&keys[KEYS / 2], 3, 64);
    let mut batch = Batch::new();
    keys.iter().for_each(|key| batch.push(key, Op::Enable));
    keys.iter().rev().for_each(|key| batch.push(key, Op::Increment));
    assert_eq!(batch.apply().unwrap().sites, 3);
    assert!(keys.iter().all(|key| key.count() == 2) && arena.all_jump());
    // One operation of many fails.
    batch.push(&keys[7], Op::Disable);
    assert_eq!(batch.apply(), Err(Error::Counted { key: address(&keys[7]), count: 3 }));
    let mut batch = Batch::new();
    keys.iter().for_each(|key| batch.push(key, Op::Decrement));
    keys.iter().for_each(|key| batch.push(key, Op::Disable));
    assert_eq!(batch.apply().unwrap().sites, 3);
    assert!(keys.iter().all(|key| key.count() == 0) && !arena.all_jump());
}

/// Each batch fails at its last operation.
#[test]
fn a_batch_is_all_or_nothing() {
    must_succeed(|| {
        let arenas: Vec<Arena> = (0..12).map(|_| Arena::new(3, 64)).collect();
        let (last, full) = (arenas.last().unwrap().key, full_key());
        arenas[3].key.enable().unwrap();
        for (key, op, error) in [
            (last, Op::Decrement, Error::Underflow { key: address(last) }),
            (full, Op::Increment, Error::Overflow { key: address(full) }),
            (full, Op::Disable, Error::Counted { key: address(full), count: i32::MAX }),
        ] {
            let others = &arenas[..11];
            let mut batch = Batch::new();
            others.iter().for_each(|arena| batch.push(arena.key, Op::Increment));
            batch.push(key, op);
            let (before, sum) = (report().unwrap(), crate::common::memory::sum_of_code());
            assert_eq!(batch.apply(), Err(error));
            let mut wanted = before;
            wanted.failed_batches += 1;
            assert_eq!(report().unwrap(), wanted);
            assert_eq!(crate::common::memory::sum_of_code(), sum);
            for (index, arena) in arenas.iter().enumerate() {
                let is_on = index == 3;
                assert_eq!((arena.key.count(), arena.all_jump()), (i32::from(is_on), is_on));
            }
        }
    });
}

#[test]
fn a_batch_without_flips_synchronises_nothing() {
    must_succeed(|| {
        let (arena, before) = (Arena::new(3, 64), report().unwrap());
        let key = arena.key;
        assert_eq!(Batch::new().apply(), Ok(NOTHING));
        assert_eq!(Batch::default().try_apply(), Ok(NOTHING));
        assert_eq!(key.disable(), Ok(NOTHING));
        let batch = Batch::new().with(key, Op::Enable).with(key, Op::Disable);
        assert_eq!(batch.apply(), Ok(NOTHING));
        assert_eq!(report().unwrap(), before);
        // The counts that a flip changes.
        key.enable().unwrap();
        key.increment().unwrap();
        let mut wanted = before;
        (wanted.batches, wanted.patches) = (before.batches + 1, before.patches + 3);
        wanted.strict_syncs += 1;
        assert_eq!(report().unwrap(), wanted);
    });
}

#[test]
fn applied_states_sites_page_runs_and_sync() {
    let method = if cfg!(target_arch = "riscv64") { Method::FlushIcache } else { Method::SyncCore };
    let sync = Some(SyncLevel::Strict(method));
    // A window spans up to 16 pages between two sites.
    for (sites, stride, page_runs) in [
        (1, 64, 1),
        (33, 64, 1),
        (5, page(), 1),
        (5, 17 * page(), 1),
        (5, 18 * page(), 5),
        (100, 30 * page(), 100),
    ] {
        let arena = Arena::new(sites, stride);
        let wanted = Ok(Applied { sites, page_runs, sync });
        assert_eq!(arena.key.enable(), wanted, "{stride} bytes apart");
        assert!(arena.all_jump());
        assert_eq!(arena.key.disable(), wanted, "{stride} bytes apart");
        assert!(!arena.all_jump());
    }
}

mod elsewhere {
    jlctl_shim::define_static_key_true!(
        /// A key that only a macro of this module uses.
        pub(crate) static KEY
    );

    macro_rules! is_on {
        () => {
            jlctl_shim::static_branch_likely!($crate::keys::elsewhere::KEY)
        };
    }
    pub(crate) use is_on;
}

define_static_key_false!(static SHARED);

trait Number {
    const VALUE: u32;
}
impl Number for u8 {
    const VALUE: u32 = 8;
}
impl Number for u16 {
    const VALUE: u32 = 16;
}
impl Number for [u64; 3] {
    const VALUE: u32 = 192;
}

#[inline(never)]
fn generic<T: Number, const N: u32>() -> u32 {
    if static_branch_unlikely!(SHARED) { T::VALUE + N } else { N }
}

#[inline(always)]
fn inlined(value: u32) -> u32 {
    if static_branch_likely!(SHARED) { value } else { value + 1000 }
}

/// A loop in which the jump of a site may go backwards.
#[inline(never)]
fn looped(times: u32) -> u32 {
    let mut sum = 0;
    for index in 0..black_box(times) {
        if static_branch_unlikely!(SHARED) {
            continue;
        }
        sum += black_box(index);
    }
    sum
}

const CLOSURE: fn() -> bool = || static_branch_unlikely!(SHARED);

/// One use of the macro in the source can be many sites in the program.
#[test]
fn sites_in_all_kinds_of_functions() {
    type Case = (fn() -> u32, u32, u32);
    let cases: [Case; 9] = [
        (generic::<u8, 1>, 1, 9),
        (generic::<u16, 1>, 1, 17),
        (generic::<u16, 2>, 2, 18),
        (generic::<[u64; 3], 0>, 0, 192),
        (|| inlined(black_box(5)), 1005, 5),
        (|| inlined(black_box(6)) + inlined(black_box(7)), 2013, 13),
        (|| u32::from(CLOSURE()), 0, 1),
        (|| (0..4).map(|by| if static_branch_unlikely!(SHARED) { by } else { 1 }).sum(), 4, 6),
        (|| looped(10), 45, 0),
    ];
    assert!(sites_of(&SHARED).len() >= cases.len(), "{:x?}", sites_of(&SHARED));
    let mut table_sites = 0;
    for round in 0..2 {
        for is_on in [false, true] {
            if SHARED.is_enabled() != is_on {
                let op = if is_on { Op::Enable } else { Op::Disable };
                table_sites = Batch::new().with(&SHARED, op).apply().unwrap().sites;
            }
            for (index, (function, off, on)) in cases.iter().enumerate() {
                let wanted = if is_on { *on } else { *off };
                assert_eq!(black_box(function)(), wanted, "{index} in round {round}");
            }
            assert_follow(&SHARED);
        }
    }
    assert_eq!(table_sites, sites_of(&SHARED).len());
}

#[test]
fn sites_in_a_macro_of_another_module() {
    #[inline(never)]
    fn site() -> bool {
        elsewhere::is_on!()
    }
    assert!(site());
    assert_eq!(elsewhere::KEY.disable().unwrap().sites, 1);
    assert!(!site());
    assert_follow(&elsewhere::KEY);
    elsewhere::KEY.enable().unwrap();
    assert!(site());
}

/// Threads increment and decrement one key; the last decrement disables it.
#[test]
fn counts_of_many_threads_add_up() {
    define_static_key_false!(static KEY);
    let rounds = rounds(500, 50);
    let user = || {
        for _ in 0..rounds {
            KEY.increment().unwrap();
            assert!(
                black_box(static_branch_unlikely!(KEY)),
                "the key is on while this thread has incremented it"
            );
            KEY.decrement().unwrap();
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(user)));
    });
    assert_eq!(KEY.count(), 0);
    assert_follow(&KEY);
}
