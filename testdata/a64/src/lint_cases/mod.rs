//! Programs that the lint must find something in, each with a sound twin, and programs that
//! only a wrong analysis finds something in. The findings are data; the lint's tests go
//! through [`all`].
//!
//! Who is the root of a finding: the function that calls the patching primitive, or that
//! writes code, even where its caller might have synchronised; of JL006 the callback; of
//! JL009 the function that makes the system call.

mod case;
mod consumers;
mod flow;
mod guards;
mod linkage;
mod modules;
mod primitives;
mod regions;
mod rules;
mod switch;
mod user;

pub use case::{Expected, FIXED, LintCase};

/// Every case.
#[must_use]
pub fn all() -> Vec<LintCase> {
    let flows = [flow::all(), switch::all(), guards::all(), linkage::all()];
    let kernels = [flows.concat(), rules::all(), modules::all()];
    [kernels.concat(), consumers::all(), user::all(), regions::all()].concat()
}
