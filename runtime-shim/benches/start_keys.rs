//! As `start`, for a program with 1,000 keys, each of which has a constructor and a destructor:
//! the median of 1,000 processes.
//!
//! `cargo bench -p jlctl-shim --bench start_keys`
#![allow(unsafe_code, reason = "constructors")]

mod clock;

/// A thousand modules, each with a key and a site.
macro_rules! keys {
    ($($hundred:ident)*) => {
        $(mod $hundred { keys!(@tens a b c d e f g h i j); })*
        fn any() -> bool { $($hundred::any())|* }
    };
    (@tens $($ten:ident)*) => {
        $(pub(crate) mod $ten { keys!(@ones a b c d e f g h i j); })*
        pub(crate) fn any() -> bool { $($ten::any())|* }
    };
    (@ones $($one:ident)*) => {
        $(pub(crate) mod $one {
            jlctl_shim::define_static_key_false!(static KEY);
            #[inline(never)]
            pub(crate) fn any() -> bool { jlctl_shim::static_branch_unlikely!(KEY) }
        })*
        pub(crate) fn any() -> bool { $($one::any())|* }
    };
}

keys!(a b c d e f g h i j);

fn main() {
    assert!(!any());
    clock::measure("1,000 keys", 1000);
}
