//! A program whose runtime is in a library: its table is not in the object of the runtime.

#![forbid(unsafe_code)]

use dynamic::{enable_library, library_is_on};
use jlctl_shim::{define_static_key_false, report, static_branch_unlikely};

define_static_key_false!(static PROGRAM);

#[inline(never)]
fn program_is_on() -> bool {
    static_branch_unlikely!(PROGRAM)
}

fn main() -> Result<(), jlctl_shim::Error> {
    assert!(!library_is_on() && !program_is_on());
    assert_eq!(enable_library()?.sites, 1);
    assert!(library_is_on() && !program_is_on());
    assert_eq!(PROGRAM.enable()?.sites, 1);
    assert!(library_is_on() && program_is_on());
    PROGRAM.disable()?;
    assert!(library_is_on() && !program_is_on());
    assert_eq!(report()?.patches, 3);
    println!("ok");
    Ok(())
}
