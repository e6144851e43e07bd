//! The rules, one file each. A new rule is a file with a descriptor and a `findings` function,
//! and a line in [`RULES`] and in [`findings`].

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
pub(super) mod jl013;

use super::code_stores::CodeStore;
use super::finding::Finding;
use super::obligation::Root;
use super::rule::RuleDescriptor;
use super::subject::Subject;
use super::syncs::Syncs;

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
    &jl013::JL013,
];

/// The pages of all rules in Markdown, in the order of [`RULES`]. The heading of a rule has
/// `depth` number signs.
#[must_use]
pub fn rules_markdown(depth: usize) -> String {
    RULES.iter().map(|rule| rule.markdown(depth)).collect::<Vec<_>>().join("\n")
}

/// The findings of the rules that follow no obligation.
pub(super) fn findings(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    roots: &[Root],
    code_stores: &[CodeStore],
) -> Vec<Finding> {
    let deadlocks = jl013::findings(subject);
    [
        jl002::findings(subject, code_stores),
        jl003::findings(subject),
        jl006::findings(subject, syncs, &deadlocks),
        jl007::findings(subject, roots),
        jl008::findings(subject, syncs),
        jl009::findings(subject, syncs, !roots.is_empty()),
        jl011::findings(subject),
        deadlocks,
    ]
    .concat()
}
