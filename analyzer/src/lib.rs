//! Reads jump tables out of ELF images and raw kernels, and analyses the code that patches
//! them.
//!
//! An [`image::Image`] is made from the bytes of a file.  [`jump_table::JumpTable::read`] finds
//! its table of static-key sites, and returns the entries, keys and sites with their defects.
//! [`debug_info::DebugInfo`] translates addresses into source lines.  [`lint`] checks programs
//! that patch code.
//!
//! The crate has no I/O except that it maps files into memory ([`image::MappedFile`]).  It
//! prints nothing and never exits.  Damaged input is data: the readable parts are returned
//! together with diagnostics, and only an input without readable parts is an error.
//!
//! # What it is not for
//! Core types have no serialised form: the CLI defines the formats of its reports.
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
pub mod semantics;
pub mod values;
