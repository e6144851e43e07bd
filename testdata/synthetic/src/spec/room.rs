//! Rooms: parts of an image whose bytes depend on its addresses.

/// Room in `.rodata`, 8-byte aligned and zero, for bytes that can be made only
/// once the image has addresses, as the kernel's kallsyms tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSpec {
    /// Name of its symbol.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}
