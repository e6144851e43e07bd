//! The time of the shim's constructor and destructor: the median of 1,000 processes.
//!
//! `cargo bench -p jlctl-shim --bench start`
#![allow(unsafe_code, reason = "constructors")]

mod clock;

jlctl_shim::define_static_key_false!(static KEY);

fn main() {
    assert!(!jlctl_shim::static_branch_unlikely!(KEY));
    clock::measure("one key", 1000);
}
