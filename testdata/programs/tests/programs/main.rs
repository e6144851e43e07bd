//! Programs in C, C++ and Rust with static keys, built as users build them: they run, they flip
//! their keys, and jlctl reads exactly the sites of their sources.
//!
//! A missing compiler or emulator fails a test, and the message names its package.

mod c;
mod cargo;
mod code;
mod compile;
mod cross;
mod folding;
mod library;
mod misuse;
mod objects;
mod patchers;
mod pkg_config;
mod rust;
mod servers;
mod sites;
mod tools;
