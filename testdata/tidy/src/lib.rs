//! The rules of the architecture, checked over the whole workspace.
//!
//! Each rule is a function from text to [`Violation`]s, with tests of its own on small
//! inputs; [`workspace`] feeds it the workspace. Nothing is listed by hand that the code
//! says: the packages come from `Cargo.toml`, the modules from `mod` lines, the layers
//! from what files import.
//!
//! `cargo test -p jlctl-tidy` checks all rules, and `cargo run -p jlctl-tidy` prints what
//! breaks them. `cargo run -p jlctl-tidy -- layers` prints the layers of every folder.

pub mod circles;
pub mod confinement;
pub mod imports;
pub mod manifest;
pub mod modules;
pub mod names;
pub mod prose;
pub mod source;
pub mod violation;
pub mod workspace;

pub use violation::Violation;
