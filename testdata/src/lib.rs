//! Test data of jlctl: synthetic images that show one thing each, and
//! the fetcher of real kernels.
//!
//! * [`spec`] declares an image, [`link`] gives it addresses and [`elf`] writes
//!   it; [`dwarf`] describes its source lines.
//! * [`demo`] is the image that documentation and golden tests use.
//! * [`code`] makes programs of real code.
//! * [`lint_cases`] are such programs with what the lint must find in them.
//! * [`broken`] has an image for every way in which a table or a file is wrong;
//!   [`raw`], [`compress`] and [`split`] are the tools for that.
//! * [`flat`] makes the raw `Image` of a kernel.
//! * [`kallsyms`] writes the symbol table that a kernel carries in itself.
//! * [`wrap`] puts files into containers and appends signatures, as
//!   distributions do.
//! * [`corpus`] fetches and finds real kernels and programs.
//! * [`vm`] runs arm64 programs under a real kernel.
#![warn(missing_docs)]

pub mod broken;
pub mod code;
pub mod compress;
pub mod corpus;
pub mod demo;
pub mod dwarf;
pub mod elf;
pub mod flat;
pub mod kallsyms;
pub mod link;
pub mod lint_cases;
pub mod raw;
pub mod spec;
pub mod split;
pub mod vm;
pub mod wrap;
