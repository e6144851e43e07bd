//! A program with keys of the crate static-keys, which tests flip from outside and which flips
//! them by the crate's own functions.
#![allow(unsafe_code, reason = "keys of the crate are flipped by unsafe functions")]

use static_keys::{define_static_key_false, define_static_key_true};
use static_keys::{static_branch_likely, static_branch_unlikely};

define_static_key_false!(CRATE_OFF);
define_static_key_true!(CRATE_ON);

#[inline(never)]
fn sees() -> [bool; 4] {
    [
        static_branch_unlikely!(CRATE_OFF),
        static_branch_likely!(CRATE_OFF),
        static_branch_unlikely!(CRATE_ON),
        static_branch_likely!(CRATE_ON),
    ]
}

/// Answers each line with what the sites see, `0` and `1` for each, and with the state of both
/// keys.
fn main() {
    // Where Yama restricts tracing to ancestors, any process of the user may trace this one.
    // SAFETY: the call takes a number.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::c_ulong::MAX, 0, 0, 0) };
    static_keys::global_init();
    println!("ready");
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            // SAFETY: the keys are initialised, and no other thread executes their sites.
            "enable" => unsafe { CRATE_OFF.enable() },
            // SAFETY: as above.
            "disable" => unsafe { CRATE_OFF.disable() },
            _ => {}
        }
        println!("{:?} {} {}", sees().map(u8::from), CRATE_OFF.is_enabled(), CRATE_ON.is_enabled());
    }
}
