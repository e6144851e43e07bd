//! Runs jlctl as a user does.

mod apply;
mod command;
mod diff;
mod directory;
mod documents {
    mod fields;
    mod pages;
    mod session;
}
mod golden;
mod inspect {
    mod bare_kernels;
    mod contract;
    mod formats;
    mod refusals;
    mod set;
}
mod link {
    mod bench;
    mod dynamic;
    mod static_programs;
}
mod lint {
    mod in_ci;
    mod reports;
}
mod live {
    mod endings;
    mod flips;
    mod library;
    mod refusals;
    mod socket;
    mod static_keys;
    #[cfg(feature = "guest")]
    mod yama;
}
mod man_and_completions;
mod mangled;
mod output;
mod plan;
mod process;
mod simulate;
