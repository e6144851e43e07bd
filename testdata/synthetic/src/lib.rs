//! Synthetic images for tests: each one shows a single property.
//!
//! * [`spec`] declares an image, [`link`] gives it addresses and [`elf`] writes
//!   it; [`dwarf`] describes its source lines.
//! * [`demo`] is the image that documentation and golden tests use.
//! * [`broken`] has an image for each fault of a table or a file; [`raw`], [`compress`] and
//!   [`split`] edit the bytes for it.
//! * [`flat`] makes the raw `Image` of a kernel.
//! * [`kallsyms`] writes the symbol table that a kernel contains.
//! * [`wrap`] puts files into containers and appends signatures, as distributions do.
#![warn(missing_docs)]

pub mod broken;
pub mod compress;
pub mod demo;
pub mod dwarf;
pub mod elf;
mod entry;
pub mod flat;
pub mod kallsyms;
pub mod link;
pub mod raw;
pub mod spec;
pub mod split;
pub mod wrap;
