//! The two steps of a patch, queue and apply: the report lists queued patches until apply.

#![allow(unsafe_code, reason = "a reference that is not an entry")]

use crate::common::arena::{Arena, Table};
use crate::common::child::must_succeed;
use crate::common::memory::{code, page, sum_of_code, writable_code};
use crate::common::sites::{Site, decode, entries_of, resolve};
use jlctl_shim::abi::{JumpLabelType, RelativeEntry};
use jlctl_shim::{
    Counts, Error, Uncovered, UncoveredPatch, define_static_key_false, report, transform,
};
use jlctl_shim::{static_branch_likely, static_branch_unlikely, sync_level, uncovered};
use std::hint::black_box;
use std::ptr;

define_static_key_false!(static KEY);

/// Not inlined, so that each site exists once.
#[inline(never)]
fn is_unlikely_on() -> bool {
    black_box(static_branch_unlikely!(KEY))
}

#[inline(never)]
fn is_likely_on() -> bool {
    black_box(static_branch_likely!(KEY))
}

/// All uncovered patches.
fn listed() -> Vec<UncoveredPatch> {
    let mut room = [UncoveredPatch { site: 0, key: 0, why: Uncovered::Stale }; 64];
    let count = uncovered(&mut room).unwrap();
    room[..count].to_vec()
}

/// The change of the counts while `body` runs.
fn change(body: impl FnOnce()) -> Counts {
    let before = report().unwrap();
    body();
    let after = report().unwrap();
    Counts {
        batches: after.batches - before.batches,
        failed_batches: after.failed_batches - before.failed_batches,
        patches: after.patches - before.patches,
        strict_syncs: after.strict_syncs - before.strict_syncs,
        best_effort_syncs: after.best_effort_syncs - before.best_effort_syncs,
        failed_syncs: after.failed_syncs - before.failed_syncs,
        ..after
    }
}

#[test]
fn a_queued_patch_is_uncovered_until_apply() {
    must_succeed(|| {
        let entries = entries_of(&KEY);
        assert_eq!(entries.len(), 2);
        let mut wanted = Vec::new();
        for entry in &entries {
            let Site { code, key, is_likely, .. } = resolve(entry);
            let (before, after) =
                (JumpLabelType::wanted(false, is_likely), JumpLabelType::wanted(true, is_likely));
            assert_eq!(decode(code).0, before);
            let counts = change(|| assert_eq!(transform::queue(entry, after), Ok(true)));
            wanted.push(UncoveredPatch { site: code, key, why: Uncovered::Queued });
            assert_eq!(
                counts,
                Counts { patches: 1, uncovered: wanted.len() as u64, ..Counts::default() }
            );
            assert_eq!((decode(code).0, listed()), (after, wanted.clone()));
        }
        // The code has changed, and the state of the key has not.
        assert!(is_unlikely_on() && is_likely_on() && !KEY.is_enabled());
        let level = sync_level().unwrap();
        let counts = change(|| assert_eq!(transform::apply(), Ok(level)));
        assert_eq!(counts, Counts { strict_syncs: 1, ..Counts::default() });
        assert_eq!((listed(), writable_code()), (vec![], vec![]));
        // The synchronisation of a batch covers queued patches too.
        assert_eq!(
            transform::queue(
                entries[0],
                JumpLabelType::wanted(false, resolve(entries[0]).is_likely)
            ),
            Ok(true)
        );
        assert_eq!(listed().len(), 1);
        let arena = Arena::new(2, 64);
        let counts = change(|| assert_eq!(arena.key.enable().unwrap().sites, 2));
        assert_eq!(counts, Counts { batches: 1, patches: 2, strict_syncs: 1, ..Counts::default() });
        assert_eq!(listed(), []);
    });
}

#[test]
fn a_site_with_the_wanted_code_is_not_written() {
    must_succeed(|| {
        let arena = Arena::new(3, 64);
        let entry = arena.table.entry(1);
        for (to, changes) in [
            (JumpLabelType::Nop, false),
            (JumpLabelType::Jmp, true),
            (JumpLabelType::Jmp, false),
            (JumpLabelType::Nop, true),
            (JumpLabelType::Nop, false),
        ] {
            let counts = change(|| assert_eq!(transform::queue(entry, to), Ok(changes)));
            assert_eq!(counts.patches, u64::from(changes));
            assert_eq!((arena.jumps(0), arena.jumps(1)), (false, to == JumpLabelType::Jmp));
        }
        assert_eq!(report().unwrap().uncovered, 2);
        transform::apply().unwrap();
    });
}

/// A copy of an entry, memory after a table, and an entry of an unregistered table.
#[test]
fn an_entry_in_no_table_is_refused() {
    must_succeed(|| {
        let (arena, sum) = (Arena::new(3, 64), sum_of_code());
        let refused = |entry: &RelativeEntry| {
            let wanted = Err(Error::NotAnEntry { entry: ptr::from_ref(entry).addr() });
            let counts = change(|| assert_eq!(transform::queue(entry, JumpLabelType::Jmp), wanted));
            assert_eq!(counts, Counts::default());
        };
        let copy = *arena.table.entry(0);
        refused(&copy);
        // The page continues after the table.
        refused(arena.table.entry(3));
        let between = ptr::from_ref(arena.table.entry(0)).addr() + 8;
        let between = ptr::with_exposed_provenance::<RelativeEntry>(between);
        // SAFETY: initialised memory of two entries, with the alignment of an entry.
        refused(unsafe { &*between });
        let last = arena.table.entry(2);
        let Arena { table, .. } = arena;
        drop(table);
        refused(last);
        assert_eq!(sum_of_code(), sum);
    });
}

/// An entry whose site holds other code.
#[test]
fn other_code_is_refused() {
    must_succeed(|| {
        let arena = Arena::new(2, page());
        let (first, sum) = (arena.sites[0], sum_of_code());
        let inside = Site { code: first.target, ..first };
        let at = crate::common::arena::map(page(), libc::PROT_READ | libc::PROT_WRITE);
        let table = Table::new(at, &[inside]);
        assert_eq!(table.registered, Ok(()));
        for to in [JumpLabelType::Jmp, JumpLabelType::Nop] {
            let error = transform::queue(table.entry(0), to).unwrap_err();
            assert_eq!(error.site(), Some(first.target), "{error}");
        }
        assert_eq!((sum_of_code(), listed(), writable_code()), (sum, vec![], vec![]));
        assert!(code().len() > 1);
    });
}
