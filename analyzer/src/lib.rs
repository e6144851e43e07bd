//! Reads jump tables out of ELF images.
//!
//! Bytes become an [`image::Image`]; [`jump_table::JumpTable::read`] finds its
//! table of static-key sites and says what each entry, key and site is and
//! what is wrong with it; [`debug_info::DebugInfo`] turns addresses into source
//! lines.
//!
//! The crate is pure but for one thing: it maps files into memory
//! ([`image::MappedFile`]).  It prints nothing and never exits.  Damaged input
//! is data: whatever could be read is returned together with diagnostics, and
//! only an input in which nothing can be read is an error.
//!
//! # What it is not for
//! Core types have no serialised form: the CLI owns the formats of its reports.
#![warn(missing_docs)]

pub mod addr;
pub mod arch;
pub mod dataflow;
pub mod debug_info;
pub mod image;
pub mod jump_table;
pub mod lint;
pub mod pattern;
pub mod program;
