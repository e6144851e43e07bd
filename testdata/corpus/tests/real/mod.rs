//! Tests on real kernels.
//!
//! They run only with the feature `real-images`, so that a plain `cargo test`
//! needs no network, and they fail when a kernel is missing: with the feature
//! they never pass silently.
//!
//! Reports of jlctl are compared with golden numbers if the kernel is pinned, and always with
//! readers that share no code with it: [`reader`] decodes the table independently, [`module`]
//! does so for modules, and [`tools`] runs programs of binutils and LLVM.

mod artefacts;
mod binaries;
mod damage;
mod diff;
mod frames;
mod jlctl;
mod kallsyms;
mod keys;
mod lint;
mod module;
mod module_frames;
mod modules;
mod numbers;
mod plan;
mod raw_image;
mod reader;
mod separate;
mod sets;
mod table;
mod tools;

use crate::{self as corpus, Image};
use jlctl_analyzer::image::MappedFile;
use std::path::PathBuf;

/// The fetched image.
fn path(image: Image) -> PathBuf {
    corpus::path(image).unwrap_or_else(|| {
        panic!(
            "{} is not in the cache ({}): run `cargo run -p jlctl-corpus -- fetch` first",
            image.name(),
            corpus::cache_dir().map_or("nowhere".to_owned(), |dir| dir.display().to_string())
        )
    })
}

/// The fetched image in memory.
fn mapped(image: Image) -> MappedFile {
    MappedFile::open(&path(image)).unwrap_or_else(|error| panic!("{error}"))
}

/// The number after `0x`.
fn address(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text:?} starts with 0x"));
    u64::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Fails with the number of differences and the first of them.
fn demand_none(what: &str, differences: &[String]) {
    let shown = differences.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{what}: {} differences:\n{shown}", differences.len());
}
