//! A million calls of a function without a branch, with the branch of a static key that is off,
//! or with that of a relaxed atomic load, for callgrind to count:
//!
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null PROGRAM none|key|atomic`

use std::hint::black_box;
use std::sync::atomic::{AtomicI32, Ordering};

jlctl_shim::define_static_key_false!(static KEY);
static FLAG: AtomicI32 = AtomicI32::new(0);

#[inline(never)]
fn none(value: usize) -> usize {
    value.rotate_left(3) ^ 5
}

#[inline(never)]
fn key(value: usize) -> usize {
    if jlctl_shim::static_branch_unlikely!(KEY) { value * 3 } else { value.rotate_left(3) ^ 5 }
}

#[inline(never)]
fn atomic(value: usize) -> usize {
    if FLAG.load(Ordering::Relaxed) != 0 { value * 3 } else { value.rotate_left(3) ^ 5 }
}

fn main() {
    // Without a store the compiler would know the result of the load.
    FLAG.store(black_box(0), Ordering::Relaxed);
    let call: fn(usize) -> usize = match std::env::args().nth(1).as_deref() {
        Some("key") => key,
        Some("atomic") => atomic,
        _ => none,
    };
    let value = (0..1_000_000).fold(1, |value, _| black_box(call)(value));
    black_box(value);
}
