//! Sites of all kinds in two crates.

use jlctl_shim::{
    Batch, define_static_key_false, define_static_key_true, report, static_branch_likely,
    static_branch_unlikely,
};
use parts::{PARTS_OFF, PARTS_ON, generic, inlined, parts_off, parts_on};

define_static_key_false!(static OFF);
define_static_key_true!(static ON);

/// Keys in modules.
mod inner {
    jlctl_shim::define_static_key_false!(pub(crate) static OFF);
}

#[inline(never)]
fn off_unlikely() -> bool {
    static_branch_unlikely!(OFF)
}

#[inline(never)]
fn off_likely() -> bool {
    static_branch_likely!(OFF)
}

#[inline(never)]
fn on_unlikely() -> bool {
    static_branch_unlikely!(ON)
}

#[inline(never)]
fn on_likely() -> bool {
    static_branch_likely!(ON)
}

#[inline(never)]
fn inner_off() -> bool {
    static_branch_unlikely!(inner::OFF)
}

#[inline(never)]
fn first_user() -> bool {
    inlined()
}

#[inline(never)]
fn second_user(value: u32) -> u32 {
    if inlined() { value } else { 0 }
}

#[inline(never)]
fn in_function(flip: bool) -> bool {
    define_static_key_false!(static LOCAL);
    if flip {
        LOCAL.increment().expect("it is flipped");
    }
    static_branch_unlikely!(LOCAL)
}

/// A key of the other crate in a site of this one.
#[inline(never)]
fn theirs() -> bool {
    static_branch_likely!(PARTS_OFF)
}

fn check_ours(off: bool, on: bool) {
    assert_eq!((OFF.is_enabled(), ON.is_enabled()), (off, on));
    assert_eq!((off_unlikely(), off_likely()), (off, off));
    assert_eq!((on_unlikely(), on_likely()), (on, on));
    assert!(!inner_off());
}

fn check_parts(off: bool, on: bool) {
    assert_eq!((parts_off(), theirs()), (off, off));
    assert_eq!((generic::<3>(), generic::<5>()), (3 * u32::from(off), 5 * u32::from(off)));
    assert_eq!((parts_on(), first_user(), second_user(7)), (on, on, 7 * u32::from(on)));
}

fn main() -> Result<(), jlctl_shim::Error> {
    for round in 0..3 {
        check_ours(false, true);
        check_parts(false, true);
        OFF.enable()?;
        check_ours(true, true);
        let applied = Batch::new().disable(&ON).enable(&PARTS_OFF).disable(&PARTS_ON).apply()?;
        assert!(applied.sites >= 8, "{applied:?}");
        check_ours(true, false);
        check_parts(true, false);
        ON.enable()?;
        Batch::new().enable(&PARTS_ON).disable(&PARTS_OFF).disable(&OFF).apply()?;
        assert_eq!(in_function(false), round > 0);
        assert!(in_function(true));
    }
    assert_eq!(report()?.uncovered, 0);
    println!("ok");
    Ok(())
}
