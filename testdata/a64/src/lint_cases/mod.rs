//! Programs for which the lint must report findings, each with a sound twin, and programs for
//! which only a wrong analysis reports one. The expected findings are data; the lint's tests
//! iterate over [`all`].
//!
//! The root of a finding is the function that calls the patching primitive or writes code, even
//! if its caller might synchronise. The root of JL006 is the callback; the root of JL009 is the
//! function that makes the system call.

mod boot;
mod case;
mod consumers;
mod deadlocks;
mod flow;
mod guards;
mod linkage;
mod modules;
mod objects;
mod primitives;
mod regions;
mod rules;
mod stubs;
mod switch;
mod user;

pub use case::{Expected, FIXED, LintCase};

/// Every case.
#[must_use]
pub fn all() -> Vec<LintCase> {
    let flows = [flow::all(), switch::all(), guards::all(), linkage::all()];
    let kernels = [flows.concat(), rules::all(), modules::all(), boot::all(), deadlocks::all()];
    [kernels.concat(), consumers::all(), user::all(), regions::all(), objects::all(), stubs::all()]
        .concat()
}
