//! What `jlctl link` and the runtime that it puts into static programs know of each other.

use core::mem::offset_of;

/// [`Embedded::version`] of the image that this crate builds: a word that no other file has there.
pub const VERSION: u64 = u64::from_le_bytes(*b"jlshim\x00\x01");

/// The image's name beside `libjlshim.so.0`.
pub const FILE: &str = "jlshim-embedded.so";
/// Its symbols: this structure, the entry, and the node of its list of tables, 64 bytes.
pub const CONFIG: &str = "jlshim_embedded_config";
/// See [`CONFIG`].
pub const ENTRY: &str = "jlshim_embedded_entry";
/// See [`CONFIG`].
pub const NODE: &str = "jlshim_embedded_node";

/// What the image is told; `jlctl link` fills it.
///
/// Places are displacements in bytes from the structure itself.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// [`VERSION`].
    pub version: u64,
    /// The program's own entry (gABI, `e_entry`).
    pub program: i64,
    /// The pages that are to be writable.
    pub data: i64,
    /// Bytes of them.
    pub data_len: u64,
    /// The image's first relocation (gABI, `Elf64_Rela`), all of them `*_RELATIVE`.
    pub relocations: i64,
    /// How many.
    pub relocations_count: u64,
    /// The image's address 0.
    pub base: i64,
    /// The address of this structure in the program's file, without a load bias.
    pub address: u64,
}

impl Embedded {
    /// As it is before `jlctl link`.
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
    /// Where [`Self::program`] is, in bytes.
    pub const PROGRAM: usize = offset_of!(Self, program);
    /// Where [`Self::data`] is, in bytes.
    pub const DATA: usize = offset_of!(Self, data);
    /// Where [`Self::data_len`] is, in bytes.
    pub const DATA_LEN: usize = offset_of!(Self, data_len);
    /// Where [`Self::relocations`] is, in bytes.
    pub const RELOCATIONS: usize = offset_of!(Self, relocations);
    /// Where [`Self::relocations_count`] is, in bytes.
    pub const RELOCATIONS_COUNT: usize = offset_of!(Self, relocations_count);
    /// Where [`Self::base`] is, in bytes.
    pub const BASE: usize = offset_of!(Self, base);
    /// Where [`Self::address`] is, in bytes.
    pub const ADDRESS: usize = offset_of!(Self, address);
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}
