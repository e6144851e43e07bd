//! Programs in C, C++ and Rust with static keys, built as people build them: they run, they
//! flip, and jlctl reads exactly the sites that their sources have.
//!
//! What is missing of compilers and emulators fails a test, and the message names the package.

mod c;
mod cargo;
mod code;
mod compile;
mod cross;
mod folding;
mod library;
mod misuse;
mod objects;
mod pkg_config;
mod rust;
mod servers;
mod sites;
mod tools;
