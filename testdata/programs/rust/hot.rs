//! Equal functions, with a site and without: `hot.c` in Rust.

use jlctl_shim::{
    define_static_key_false, define_static_key_true, static_branch_likely, static_branch_unlikely,
};

define_static_key_false!(static OFF);
define_static_key_true!(static ON);

#[cold]
#[inline(never)]
fn rare(value: &mut i32) {
    *value = value.wrapping_sub(1000);
}

#[inline(never)]
fn plain(value: &mut i32) {
    *value ^= 21;
}

#[inline(never)]
fn off_site(value: &mut i32) {
    if static_branch_unlikely!(OFF) {
        rare(value);
    } else {
        *value ^= 21;
    }
}

#[inline(never)]
fn on_site(value: &mut i32) {
    if static_branch_likely!(ON) {
        *value ^= 21;
    } else {
        rare(value);
    }
}

fn after(function: fn(&mut i32)) -> i32 {
    let mut value = 5;
    function(&mut value);
    value
}

fn main() -> Result<(), jlctl_shim::Error> {
    assert_eq!((after(plain), after(off_site), after(on_site)), (16, 16, 16));
    OFF.enable()?;
    ON.disable()?;
    assert_eq!((after(off_site), after(on_site)), (-995, -995));
    println!("ok");
    Ok(())
}
