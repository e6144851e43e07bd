//! The rules, each in a file of its own.

pub(super) mod jl001;
pub(super) mod jl002;
pub(super) mod jl003;
pub(super) mod jl004;
pub(super) mod jl005;
pub(super) mod jl006;
pub(super) mod jl007;
pub(super) mod jl008;
pub(super) mod jl009;
pub(super) mod jl010;
pub(super) mod jl011;

use super::rule::RuleDescriptor;

/// All rules, by code.
pub static RULES: &[&RuleDescriptor] = &[
    &jl001::JL001,
    &jl002::JL002,
    &jl003::JL003,
    &jl004::JL004,
    &jl005::JL005,
    &jl006::JL006,
    &jl007::JL007,
    &jl008::JL008,
    &jl009::JL009,
    &jl010::JL010,
    &jl011::JL011,
];
