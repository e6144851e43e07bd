//! The interface between `jlctl link` and the runtime that it embeds in static programs.

use core::mem::offset_of;

/// [`Embedded::version`] of the image that this crate builds.  No other kind of file has this
/// word at that offset.
pub const VERSION: u64 = u64::from_le_bytes(*b"jlshim\x00\x01");

/// The name of the image, a file in the directory of `libjlshim.so.0`.
pub const FILE: &str = "jlshim-embedded.so";
/// Symbol of the image: the [`Embedded`] structure.
pub const CONFIG: &str = "jlshim_embedded_config";
/// Symbol of the image: the entry, to which the kernel passes control.
pub const ENTRY: &str = "jlshim_embedded_entry";
/// Symbol of the image: the node for the program's table, of 64 bytes.
pub const NODE: &str = "jlshim_embedded_node";

/// The configuration of the image, which `jlctl link` fills in.
///
/// Locations are displacements in bytes from the start of this structure.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// [`VERSION`].
    pub version: u64,
    /// The program's own entry (gABI, `e_entry`).
    pub program: i64,
    /// The pages that the entry makes writable.
    pub data: i64,
    /// Length of these pages in bytes.
    pub data_len: u64,
    /// The first relocation of the image (gABI, `Elf64_Rela`); all are `*_RELATIVE`.
    pub relocations: i64,
    /// Number of relocations.
    pub relocations_count: u64,
    /// Address 0 of the image.
    pub base: i64,
    /// The address of this structure in the program's file (an SVMA, without load bias).
    pub address: u64,
}

impl Embedded {
    /// The structure before `jlctl link` fills it in.
    pub const EMPTY: Self = Self {
        version: VERSION,
        program: 0,
        data: 0,
        data_len: 0,
        relocations: 0,
        relocations_count: 0,
        base: 0,
        address: 0,
    };
    /// Offset of [`Self::program`], in bytes.
    pub const PROGRAM: usize = offset_of!(Self, program);
    /// Offset of [`Self::data`], in bytes.
    pub const DATA: usize = offset_of!(Self, data);
    /// Offset of [`Self::data_len`], in bytes.
    pub const DATA_LEN: usize = offset_of!(Self, data_len);
    /// Offset of [`Self::relocations`], in bytes.
    pub const RELOCATIONS: usize = offset_of!(Self, relocations);
    /// Offset of [`Self::relocations_count`], in bytes.
    pub const RELOCATIONS_COUNT: usize = offset_of!(Self, relocations_count);
    /// Offset of [`Self::base`], in bytes.
    pub const BASE: usize = offset_of!(Self, base);
    /// Offset of [`Self::address`], in bytes.
    pub const ADDRESS: usize = offset_of!(Self, address);
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}
